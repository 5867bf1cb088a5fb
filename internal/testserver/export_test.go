package testserver

import (
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// NoOpenTransactionsWithin is NoOpenTransactions with another bound.
func NoOpenTransactionsWithin(t testing.TB, cfg *mysql.Config, bound time.Duration) {
	t.Helper()
	awaitTransactions(t, cfg, bound, noneOpen())
}
