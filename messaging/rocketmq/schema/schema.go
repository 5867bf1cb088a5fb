// Package schema has the table of rocketmq's transactions, for programs that
// migrate databases: they need not have RocketMQ's client, which begins to work
// as soon as it is linked.
package schema

import (
	_ "embed"

	"github.com/tcckit/tcckit/messaging"
)

//go:embed mysql.sql
var mysql string

//go:embed sqlite.sql
var sqlite string

// Transactions is rocketmq.TransactionSchema.
func Transactions(d messaging.Dialect) string {
	if d == messaging.SQLite {
		return sqlite
	}
	return mysql
}
