package accounttest

import (
	"context"
	"database/sql"
	_ "embed"
	"log/slog"
	"path/filepath"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/testserver"
)

// schema is the participant's table. It reads the same on every database.
//
//go:embed schema.sql
var schema string

// Dialect is the SQL that a database speaks.
type Dialect string

// The dialects. MariaDB's is MySQL's, as far as the examples go.
const (
	SQLite Dialect = "sqlite"
	MySQL  Dialect = "mysql"
)

// Database is a participant's database, with the business table and the
// barrier's.
type Database struct {
	Dialect Dialect
	// Store is what the participant runs its branches on.
	Store barrier.Store
	// Pool is the Store's own, for what is no branch.
	Pool *sql.DB
}

// each runs test on a new database of each kind. Without a server the test
// fails, and -short leaves it out; SQLite needs none.
func each(t *testing.T, test func(t *testing.T, db Database)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, openSQLite(t))
	})
	for name, server := range map[string]func(testing.TB) *mysqldriver.Config{"MySQL": testserver.MySQL, "MariaDB": testserver.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, openMySQL(t, server(t)))
		})
	}
}

func openSQLite(t *testing.T) Database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "account.db")
	db, err := sqlite.OpenDB(path)
	require.NoError(t, err)
	create(t, db, sqlite.Schema)
	require.NoError(t, db.Close())

	store, err := sqlite.Open(t.Context(), path, sqlite.Options{Logger: logger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return Database{Dialect: SQLite, Store: store, Pool: store.DB()}
}

func openMySQL(t *testing.T, cfg *mysqldriver.Config) Database {
	t.Helper()
	connector, err := mysqldriver.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	create(t, db, mysql.Schema)
	require.NoError(t, db.Close())

	store, err := mysql.Open(t.Context(), cfg, mysql.Options{Logger: logger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return Database{Dialect: MySQL, Store: store, Pool: store.DB()}
}

// create makes the tables, as a participant's migrations would.
func create(t *testing.T, db *sql.DB, barrierSchema string) {
	t.Helper()
	for _, s := range []string{barrierSchema, schema} {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err)
	}
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// sums is what lies in an account.
type sums struct{ Available, Frozen, Spent int64 }

func (db Database) sums(ctx context.Context, t *testing.T, id string) sums {
	t.Helper()
	var s sums
	err := db.Pool.QueryRowContext(ctx, "SELECT available, frozen, spent FROM account WHERE account_id = ?", id).
		Scan(&s.Available, &s.Frozen, &s.Spent)
	require.NoError(t, err)
	return s
}

// count is how many of the accounts there are.
func (db Database) count(ctx context.Context, t *testing.T, ids []string) (n int) {
	t.Helper()
	for _, id := range ids {
		var found int
		require.NoError(t, db.Pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM account WHERE account_id = ?", id).Scan(&found))
		n += found
	}
	return n
}

// state is that of a branch's row.
func (db Database) state(ctx context.Context, t *testing.T, gid string) barrier.State {
	t.Helper()
	var n int
	var state barrier.State
	rows, err := db.Pool.QueryContext(ctx, "SELECT state FROM sub_transaction_barrier WHERE gid = ?", gid)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for ; rows.Next(); n++ {
		require.NoError(t, rows.Scan(&state))
	}
	require.NoError(t, rows.Err())
	require.LessOrEqual(t, n, 1, "a branch has one row")
	return state
}
