package rocketmq

import (
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq/schema"
)

// TransactionSchema returns what creates the table message_transaction if it
// does not exist. It belongs into the migrations of each database whose
// transactions decide about messages: see [Transactions].
func TransactionSchema(d messaging.Dialect) string { return schema.Transactions(d) }

// TransactionState is what became of a business transaction, and so of its
// message.
type TransactionState string

// The states that the log has. Of a transaction that is under way there is no
// row; what a broker asks about is counted by tcckit.rocketmq.transaction.checks.
const (
	TransactionCommitted  TransactionState = "COMMITTED"
	TransactionRolledBack TransactionState = "ROLLED_BACK"

	// stateLog marks the row that tells this log from another database's.
	stateLog TransactionState = "LOG"
)
