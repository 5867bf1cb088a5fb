package mysql

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// However many branches are in a batch, the server finds their rows by the key,
// and reads no others: with a list of one pair MariaDB would read them all.
func TestBatchesReadNoRowsButTheirOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		server  func(testing.TB) *mysqldriver.Config
		explain string
	}{
		{"MySQL", testserver.MySQL, "EXPLAIN FORMAT=TRADITIONAL "},
		{"MariaDB", testserver.MariaDB, "EXPLAIN "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			connector, err := mysqldriver.NewConnector(c.server(t))
			require.NoError(t, err)
			db := sql.OpenDB(connector)
			defer func() { require.NoError(t, db.Close()) }()
			exec := func(query string) {
				_, err := db.ExecContext(t.Context(), query)
				require.NoError(t, err)
			}
			exec(Schema)
			var rows []string
			for i := range 5000 {
				rows = append(rows, fmt.Sprintf("('g%04d', '01', 1, UTC_TIMESTAMP(3))", i))
			}
			exec("INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES " + strings.Join(rows, ", "))
			exec("ANALYZE TABLE sub_transaction_barrier")

			for _, statement := range []string{updateAllConfirmed, updateAllCancelled, selectStates} {
				for _, n := range []int{1, 2, 3, 64} {
					query := c.explain + statement + anyOf(n)
					for i := range n {
						query = strings.Replace(query, "?, ?", fmt.Sprintf("'g%04d', '01'", 70*i), 1)
					}
					query = strings.Replace(strings.Replace(query, "gid = ?", "gid = 'g0000'", 1), "branch_id = ?", "branch_id = '01'", 1)
					require.LessOrEqual(t, explained(t, db, query), n, query)
				}
			}
		})
	}
}

// explained returns how many rows the server expects to read.
func explained(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.True(t, rows.Next(), query)
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	require.NoError(t, rows.Scan(into...))
	require.NoError(t, rows.Err())
	for i, c := range columns {
		if c == "rows" {
			_, err := fmt.Sscan(values[i].String, &n)
			require.NoError(t, err)
			return n
		}
	}
	require.FailNow(t, "EXPLAIN says nothing of rows", query)
	return 0
}
