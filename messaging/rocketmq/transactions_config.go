package rocketmq

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

// The defaults of [TransactionsConfig].
const (
	DefaultDeadline      = 30 * time.Second
	DefaultTransactions  = 256
	DefaultRetention     = 30 * 24 * time.Hour
	DefaultSweepInterval = 10 * time.Minute
)

// The bounds of [TransactionsConfig].
const (
	// MaxDeadline is below the 7 minutes after which a broker with its default
	// settings asks about a half message for the last time.
	MaxDeadline = 5 * time.Minute
	// MinRetention is above the 3 days for which a broker keeps half messages.
	MinRetention = 4 * 24 * time.Hour
)

// TransactionsConfig configures [NewTransactions]. Bus, Group, DB and Dialect
// are required.
type TransactionsConfig struct {
	// Bus must have name servers: there are no half messages within a process.
	Bus *Bus
	// Group is the producers' group whose members answer for each other's half
	// messages: one for all instances of a service, whose database they share,
	// and for nobody else.
	Group string
	// DB is the database of the business, which has the table that
	// [TransactionSchema] creates.
	DB *sql.DB
	// Dialect is how DB is spoken to.
	Dialect messaging.Dialect
	// Deadline is how long a business transaction may take, from before its
	// half message on. After that it is rolled back. It must be over well
	// before the broker asks about the half message for the last time, in
	// RocketMQ transactionTimeOut + (transactionCheckMax - 1) *
	// transactionCheckInterval, or the broker drops the message of one that was
	// committed. 0 means [DefaultDeadline]; at most [MaxDeadline].
	Deadline time.Duration
	// Transactions is how many may run at once. 0 means [DefaultTransactions].
	Transactions int
	// Retention is how long the log keeps an outcome. It must be longer than
	// the broker may ask for it: also a broker that was away for days. 0 means
	// [DefaultRetention]; at least [MinRetention].
	Retention time.Duration
	// SweepInterval is the time between two looks for what may be deleted. 0
	// means [DefaultSweepInterval].
	SweepInterval time.Duration
}

func (c *TransactionsConfig) setDefaults() error {
	c.Group = atBroker(c.Group)
	if c.Deadline == 0 {
		c.Deadline = DefaultDeadline
	}
	if c.Transactions == 0 {
		c.Transactions = DefaultTransactions
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.SweepInterval == 0 {
		c.SweepInterval = DefaultSweepInterval
	}
	var errs []error
	if c.Bus == nil {
		errs = append(errs, errors.New("no Bus is given"))
	} else if c.Bus.InProcess() {
		errs = append(errs, errors.New("a bus within the process has no half messages: give it name servers, or use an outbox"))
	}
	if c.DB == nil {
		errs = append(errs, errors.New("no DB is given"))
	}
	errs = append(errs, c.Dialect.Validate(), checkName("group", c.Group, maxGroup))
	if c.Deadline < time.Millisecond || c.Deadline > MaxDeadline {
		errs = append(errs, fmt.Errorf("deadline %s: want up to %s", c.Deadline, MaxDeadline))
	}
	if c.Transactions < 0 || c.SweepInterval < 0 {
		errs = append(errs, fmt.Errorf("want more than 0 for Transactions and SweepInterval, got %d and %s", c.Transactions, c.SweepInterval))
	}
	if c.Retention < MinRetention {
		errs = append(errs, fmt.Errorf("retention %s: want at least %s", c.Retention, MinRetention))
	}
	return errors.Join(errs...)
}
