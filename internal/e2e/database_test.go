package e2e_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/testserver"
)

// database is a service's database, as the test sees it: directly, not through the proxy.
type database struct {
	cfg *mysql.Config
	db  *sql.DB
}

// databases are the services', by name.
type databases map[string]*database

// newDatabase makes one on the server that all tests share.
func newDatabase(t *testing.T) *database {
	t.Helper()
	return openDatabase(t, testserver.MySQL(t))
}

func openDatabase(t *testing.T, cfg *mysql.Config) *database {
	t.Helper()
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return &database{cfg: cfg, db: db}
}

// state reads what became of the service's branch in a transaction: zero if there is no row.
func (d *database) state(t testing.TB, gid string) barrier.State {
	t.Helper()
	var state barrier.State
	err := d.db.QueryRowContext(bounded(t), "SELECT state FROM sub_transaction_barrier WHERE gid = ?", gid).Scan(&state)
	if !errors.Is(err, sql.ErrNoRows) {
		require.NoError(t, err)
	}
	return state
}

// number reads one number; NULL is 0.
func (d *database) number(ctx context.Context, query string, args ...any) (int64, error) {
	var n sql.NullInt64
	err := d.db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n.Int64, err
}

// lock locks what a query finds, one row, until the function that it returns is called.
func (d *database) lock(t testing.TB, query string, args ...any) (unlock func()) {
	t.Helper()
	tx, err := d.db.BeginTx(bounded(t), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() }) // if the test ends before
	var found int
	require.NoError(t, tx.QueryRowContext(t.Context(), query+" FOR UPDATE", args...).Scan(&found))
	return func() {
		t.Helper()
		require.NoError(t, tx.Rollback())
	}
}

// contents tells the checksum of each table, by name.
func (d *database) contents(t testing.TB) map[string]int64 {
	t.Helper()
	ctx := bounded(t)
	tables, err := d.tables(ctx)
	require.NoError(t, err)
	rows, err := d.db.QueryContext(ctx, "CHECKSUM TABLE `"+strings.Join(tables, "`, `")+"`")
	require.NoError(t, err)
	defer rows.Close()
	contents := make(map[string]int64, len(tables))
	for rows.Next() {
		var name string
		var checksum sql.NullInt64
		require.NoError(t, rows.Scan(&name, &checksum))
		require.True(t, checksum.Valid, name)
		contents[name] = checksum.Int64
	}
	require.NoError(t, rows.Err())
	require.Len(t, contents, len(tables))
	return contents
}

func (d *database) tables(ctx context.Context) ([]string, error) {
	rows, err := d.db.QueryContext(ctx, "SHOW TABLES")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		tables = append(tables, name)
	}
	return tables, rows.Err()
}
