package rocketmq_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// ledger is a database with a business: the table effect has a row for each
// transaction that was committed.
type ledger struct {
	db      *sql.DB
	dialect messaging.Dialect
	source  string // a DSN, or a file's path
}

// ledgers are the kinds of databases.
func ledgers() []string { return []string{"mysql", "mariadb", "sqlite"} }

// newLedger makes a database.
func newLedger(t testing.TB, kind string) *ledger {
	t.Helper()
	l := &ledger{dialect: messaging.MySQL}
	switch kind {
	case "mysql":
		l.source = dsn(testserver.MySQL(t))
	case "mariadb":
		l.source = dsn(testserver.MariaDB(t))
	case "sqlite":
		l.dialect, l.source = messaging.SQLite, filepath.Join(t.TempDir(), "ledger.db")
	}
	l.db = openLedger(t, l.dialect, l.source)
	for _, statement := range []string{
		rocketmq.TransactionSchema(l.dialect),
		rocketmq.TransactionSchema(l.dialect), // again, which does nothing
		"CREATE TABLE effect (id VARCHAR(64) PRIMARY KEY)",
	} {
		_, err := l.db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	return l
}

func dsn(cfg *mysql.Config) string {
	cfg.InterpolateParams = true
	cfg.Timeout = 5 * time.Second
	cfg.Logger = &mysql.NopLogger{}
	return cfg.FormatDSN()
}

func openLedger(t testing.TB, d messaging.Dialect, source string) *sql.DB {
	t.Helper()
	db, err := connectLedger(d, source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func connectLedger(d messaging.Dialect, source string) (*sql.DB, error) {
	if d == messaging.SQLite {
		return sqlite.OpenDB(source)
	}
	cfg, err := mysql.ParseDSN(source)
	if err != nil {
		return nil, err
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// book is a business that leaves a row.
func book(id string) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO effect (id) VALUES (?)", id)
		return err
	}
}

// effects are the ids of the transactions that were committed, sorted.
func (l *ledger) effects(t testing.TB) []string {
	t.Helper()
	rows, err := l.db.QueryContext(t.Context(), "SELECT id FROM effect ORDER BY id")
	require.NoError(t, err)
	defer rows.Close()
	ids := []string{}
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	return ids
}

// log lists what the table has about a message.
func (l *ledger) log(t testing.TB, id string) []rocketmq.TransactionState {
	t.Helper()
	all, err := rocketmq.ListTransactions(t.Context(), l.db, rocketmq.ListTransactionsOptions{MessageID: id})
	require.NoError(t, err)
	states := []rocketmq.TransactionState{}
	for _, tr := range all {
		states = append(states, tr.State)
	}
	return states
}

// becomes waits until the table has nothing but one state of a message.
func (l *ledger) becomes(t testing.TB, id string, want rocketmq.TransactionState) {
	t.Helper()
	eventually(t, func() bool { return slices.Equal(l.log(t, id), []rocketmq.TransactionState{want}) },
		func() string { return fmt.Sprintf("the log has %v", l.log(t, id)) })
}

func newTransactions(t testing.TB, cfg rocketmq.TransactionsConfig) *rocketmq.Transactions {
	t.Helper()
	tx, err := rocketmq.NewTransactions(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tx.Close()) })
	return tx
}

// on is the configuration of transactions that decide in a ledger.
func on(t testing.TB, bus *rocketmq.Bus, l *ledger) rocketmq.TransactionsConfig {
	t.Helper()
	return rocketmq.TransactionsConfig{Bus: bus, Group: testserver.Topic(t), DB: l.db, Dialect: l.dialect}
}

func newMessage() *message.Message {
	return message.NewMessage(watermill.NewUUID(), []byte("payload"))
}

// readers subscribes and collects.
func readers(t testing.TB, bus *rocketmq.Bus, topic string) *inbox {
	t.Helper()
	got := newInbox()
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic)
	go got.drink(out)
	return got
}

// arrives waits for a message.
func (i *inbox) arrives(t testing.TB, id string) {
	t.Helper()
	eventually(t, func() bool { return i.times(id) > 0 }, func() string { return "the message did not arrive" })
}
