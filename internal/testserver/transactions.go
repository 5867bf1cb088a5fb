package testserver

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// NoOpenTransactions waits until the server has no transaction of a connection to cfg's database, and
// so no statement of the test that waits for a lock. The test fails when that takes longer than 30 s.
func NoOpenTransactions(t testing.TB, cfg *mysql.Config) {
	t.Helper()
	awaitTransactions(t, cfg, timeout, noneOpen())
}

// LockWaits waits until at least n transactions of connections to cfg's database wait for a lock, which
// proves that the statements under test have reached the server and its locks. The test fails when that
// takes longer than 30 s.
func LockWaits(t testing.TB, cfg *mysql.Config, n int) {
	t.Helper()
	awaitTransactions(t, cfg, timeout, condition{
		what: fmt.Sprintf("%d transactions that wait for a lock", n),
		met: func(open []transaction) bool {
			waiting := 0
			for _, tx := range open {
				if tx.waits {
					waiting++
				}
			}
			return waiting >= n
		},
	})
}

// condition is what a test waits for.
type condition struct {
	what string
	met  func(open []transaction) bool
}

func noneOpen() condition {
	return condition{"no open transaction", func(open []transaction) bool { return len(open) == 0 }}
}

func awaitTransactions(t testing.TB, cfg *mysql.Config, bound time.Duration, want condition) {
	t.Helper()
	var last []transaction
	// Without a database of its own, so that it is not among those that it looks for.
	admin := cfg.Clone()
	admin.DBName = ""
	err := withConn(admin, func(ctx context.Context, conn *sql.Conn) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		end := time.After(bound)
		for {
			open, err := openTransactions(ctx, conn, cfg.DBName)
			if err != nil {
				return err
			}
			last = open
			if want.met(open) {
				return nil
			}
			select {
			case <-end:
				return fmt.Errorf("not so within %s", bound)
			case <-tick.C:
			}
		}
	})
	if err != nil {
		t.Fatalf("waiting for %s in %s at %s: %v; open transactions: %s", want.what, cfg.DBName, cfg.Addr, err, list(last))
	}
}

func list(txs []transaction) string {
	if len(txs) == 0 {
		return "none"
	}
	var b strings.Builder
	for _, tx := range txs {
		fmt.Fprintf(&b, "\n%s", tx.text)
	}
	return b.String()
}

// openTransactions returns the transactions of connections to a database.
func openTransactions(ctx context.Context, conn *sql.Conn, database string) ([]transaction, error) {
	all, err := allTransactions(ctx, conn)
	if err != nil {
		return nil, err
	}
	own, err := processes(ctx, conn, database)
	if err != nil {
		return nil, err
	}
	var open []transaction
	for _, tx := range all {
		if slices.ContainsFunc(own, func(p process) bool { return p.thread == tx.thread }) {
			open = append(open, tx)
		}
	}
	return open, nil
}

// threadsIn lists the connections to a database. It does not read information_schema.processlist, which on
// MySQL fails while any connection runs a statement with bytes that are no UTF-8.
