package shop_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// databases is the MySQL server that tests are given.
type databases struct {
	t     testing.TB
	admin *sql.DB
	addr  string
}

func openDatabases(t testing.TB) *databases {
	t.Helper()
	cfg, err := mysql.ParseDSN(variable(t, "TCCKIT_TEST_MYSQL"))
	require.NoError(t, err)
	cfg.MultiStatements = true
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	d := &databases{t: t, admin: sql.OpenDB(connector), addr: cfg.Addr}
	t.Cleanup(func() { require.NoError(t, d.admin.Close()) })
	d.alone()
	return d
}

// alone waits until no other run of these tests uses the server: the names that the chart gives are always the same.
func (d *databases) alone() {
	d.t.Helper()
	conn, err := d.admin.Conn(d.t.Context())
	require.NoError(d.t, err)
	d.t.Cleanup(func() { require.NoError(d.t, conn.Close()) })
	var got int
	require.NoError(d.t, conn.QueryRowContext(d.t.Context(), "SELECT GET_LOCK('tcckit-deploy', 300)").Scan(&got))
	require.Equal(d.t, 1, got, "another test uses the server")
}

func (d *databases) run(query string) {
	d.t.Helper()
	// Also at the test's end, when its own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.t.Context()), time.Minute)
	defer cancel()
	_, err := d.admin.ExecContext(ctx, query)
	require.NoError(d.t, err, query)
}

// user makes an account, which goes with the databases whose names begin with the prefix.
func (d *databases) user(name, password, prefix string) {
	d.t.Helper()
	var self string
	require.NoError(d.t, d.admin.QueryRowContext(d.t.Context(), "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)").Scan(&self))
	require.NotEqual(d.t, self, name, "that is the account of all tests")
	d.clean(name, prefix)
	d.run(fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", name, password))
	d.t.Cleanup(func() { d.clean(name, prefix) })
}

// clean removes an account and databases, also those of a test that was killed.
func (d *databases) clean(user, prefix string) {
	d.t.Helper()
	d.run(fmt.Sprintf("DROP USER IF EXISTS '%s'@'%%'", user))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.t.Context()), time.Minute)
	defer cancel()
	rows, err := d.admin.QueryContext(ctx, "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ?", strings.ReplaceAll(prefix, "_", `\_`)+"%")
	require.NoError(d.t, err)
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		require.NoError(d.t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(d.t, rows.Err())
	for _, name := range names {
		d.run("DROP DATABASE `" + name + "`")
	}
}
