package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier/sqlite"
)

// barrierFile makes a database with a barrier: ten branches that ended 40 days ago, one that ended now, two
// that were tried 40 days ago and one that was tried now.
func barrierFile(t *testing.T) (dsn string, db *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "participant.db")
	db, err := sqlite.OpenDB(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec(sqlite.Schema)
	require.NoError(t, err)
	insert := func(gid string, state int, age time.Duration) {
		_, err := db.Exec("INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at, method, request) VALUES (?, '01', ?, ?, ?, ?)",
			gid, state, time.Now().Add(-age).UnixMilli(), "/shop.Till/TryDebit", []byte{1})
		require.NoError(t, err)
	}
	const long = 40 * 24 * time.Hour
	for i := range 10 {
		insert(fmt.Sprintf("ended/%d", i), 2+i%4, long)
	}
	insert("ended-now", 2, 0)
	insert("stuck-1", 1, long)
	insert("stuck-2", 1, long)
	insert("tried-now", 1, 0)
	return "sqlite:" + path, db
}

// refusing is an address at which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l := listen(t)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func rows(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM sub_transaction_barrier").Scan(&n))
	return n
}

func TestBarrierGC(t *testing.T) {
	t.Parallel()
	dsn, db := barrierFile(t)
	c := start(t, []string{"TCCKIT_DB=" + dsn}, "barrier", "gc", "--chunk=3")
	require.Equal(t, 0, c.code())
	require.Equal(t, "looked at 14 rows, deleted 10 that ended more than 30d ago\n", c.out.String())
	require.Equal(t, 4, rows(t, db))

	c = start(t, nil, "barrier", "gc", "--db="+dsn)
	require.Equal(t, 0, c.code())
	require.Contains(t, c.out.String(), "looked at 4 rows, deleted 0")
}

func TestBarrierGCGoesOn(t *testing.T) {
	t.Parallel()
	dsn, db := barrierFile(t)
	c := start(t, nil, "barrier", "gc", "--db="+dsn, "--once", "--chunk=4", "--retention=39d")
	require.Equal(t, 0, c.code())
	require.Contains(t, c.out.String(), "deleted")
	_, after, found := strings.Cut(c.out.String(), "--after '")
	require.True(t, found, c.out)
	left := rows(t, db)
	require.GreaterOrEqual(t, left, 10)

	c = start(t, nil, "barrier", "gc", "--db="+dsn, "--after="+strings.TrimSuffix(after, "'\n"), "--retention=960h")
	require.Equal(t, 0, c.code())
	require.Contains(t, c.out.String(), "looked at 10 rows")
	require.Equal(t, 4, rows(t, db))
}

func TestBarrierStuck(t *testing.T) {
	t.Parallel()
	dsn, _ := barrierFile(t)
	nobody := "--dtm-http=http://" + refusing(t)
	c := start(t, nil, "barrier", "stuck", "--db="+dsn, nobody)
	require.Equal(t, 0, c.code())
	lines := strings.Split(strings.TrimSpace(c.out.String()), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, []string{"AGE", "METHOD", "GID", "BRANCH", "ID", "COORDINATOR"}, strings.Fields(lines[0]))
	require.Equal(t, []string{"/shop.Till/TryDebit", "stuck-1", "01", "coordinator", "away"}, strings.Fields(lines[1])[1:])
	require.Contains(t, c.log.String(), "gives no answer")
	require.Contains(t, c.log.String(), "connection refused")

	c = start(t, nil, "barrier", "stuck", "--db="+dsn, nobody, "--json", "--limit=1")
	require.Equal(t, 0, c.code())
	var list []struct {
		GID        string  `json:"gid"`
		Method     string  `json:"method"`
		AgeSeconds float64 `json:"age_seconds"`
		Verdict    string  `json:"verdict"`
	}
	require.NoError(t, json.Unmarshal([]byte(c.out.String()), &list))
	require.Len(t, list, 1)
	require.Equal(t, "stuck-1", list[0].GID)
	require.Equal(t, "/shop.Till/TryDebit", list[0].Method)
	require.Greater(t, list[0].AgeSeconds, float64(40*24*3600-1))
	require.Equal(t, "coordinator_away", list[0].Verdict)

	c = start(t, nil, "barrier", "stuck", "--db="+dsn, "--older-than=100d", "--json")
	require.Equal(t, 0, c.code())
	require.JSONEq(t, "[]", c.out.String())
	c = start(t, nil, "barrier", "stuck", "--db="+dsn, "--older-than=100d")
	require.Equal(t, 0, c.code())
	require.Equal(t, "none is stuck\n", c.out.String())
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	variables := []string{"TCCKIT_ACCOUNT_DB=sqlite:" + filepath.Join(dir, "a.db"), "TCCKIT_STOCK_DB=sqlite:" + filepath.Join(dir, "s.db")}
	c := start(t, variables, "migrate", "account", "stock")
	require.Equal(t, 0, c.code())
	require.Contains(t, c.out.String(), "account: 2 migrations applied, now at version 2\n")
	require.Contains(t, c.out.String(), "stock: 2 migrations applied")
	c = start(t, variables, "migrate", "account")
	require.Equal(t, 0, c.code())
	require.Equal(t, "account: 0 migrations applied, now at version 2\n", c.out.String())
}
