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

// DropDatabaseWithin is what the end of a test does, with another bound. It fails the test by Fatalf.
func DropDatabaseWithin(t testing.TB, cfg *mysql.Config, bound time.Duration) {
	t.Helper()
	if err := dropDatabase(cfg, cfg.DBName, bound); err != nil {
		t.Fatalf("%v", err)
	}
}
