package mysql_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// onEach runs f on a new database of each kind of server, with the barrier's
// table and one account in it.
func onEach(t *testing.T, f func(t *testing.T, cfg *mysqldriver.Config)) {
	for name, database := range map[string]func(testing.TB) *mysqldriver.Config{
		"MySQL": testserver.MySQL, "MariaDB": testserver.MariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := database(t)
			exec(t, cfg, mysql.Schema)
			exec(t, cfg, "CREATE TABLE account (id VARCHAR(64) PRIMARY KEY, available BIGINT NOT NULL, frozen BIGINT NOT NULL DEFAULT 0)")
			exec(t, cfg, "INSERT INTO account (id, available) VALUES ('a', 100)")
			f(t, cfg)
		})
	}
}

func exec(t *testing.T, cfg *mysqldriver.Config, query string) {
	t.Helper()
	c, err := mysqldriver.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(c)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(t.Context(), query)
	require.NoError(t, err, query)
}

func call(gid string, p tcc.Phase) barrier.Call {
	c := barrier.Call{Branch: tcc.Branch{GID: gid, ID: "01", Phase: p, Method: "/test.Account/TryDebit"}}
	if p == tcc.Try {
		c.Request = []byte("request")
	}
	return c
}

// move is work that only queues: it moves n from one column to the other.
func move(from, to string, n int64) barrier.Work {
	return func(_ context.Context, tx barrier.Tx) ([]byte, error) {
		tx.Queue(barrier.Stmt{
			Query: fmt.Sprintf("UPDATE account SET %[1]s = %[1]s - ?, %[2]s = %[2]s + ? WHERE id = ? AND %[1]s >= ?", from, to),
			Args:  []any{n, n, "a", n}, Key: "a", Rows: 1,
			Otherwise: func(ctx context.Context, tx barrier.Tx) error {
				var left string
				if err := tx.QueryRowContext(ctx, "SELECT available FROM account WHERE id = ?", "a").Scan(&left); err != nil {
					return err
				}
				return tcc.Reject("INSUFFICIENT_BALANCE", "", map[string]string{"available": left})
			},
		})
		return []byte("response"), nil
	}
}

func TestQueuedBranchTakesTwoRoundTrips(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		trips := countTrips(t, cfg)
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{MaxConns: 1})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		// The first has its batch's connection made.
		_, err = s.Do(t.Context(), call("g0", tcc.Try), move("available", "frozen", 10))
		require.NoError(t, err)
		for i, d := range []struct {
			name string
			call barrier.Call
			work barrier.Work
			want int64
		}{
			{"try", call("g1", tcc.Try), move("available", "frozen", 10), 2},
			{"confirm", call("g1", tcc.Confirm), move("frozen", "available", 10), 2},
			{"try", call("g2", tcc.Try), move("available", "frozen", 10), 2},
			{"cancel", call("g2", tcc.Cancel), move("frozen", "available", 10), 2},
			{"empty cancel", call("g3", tcc.Cancel), move("frozen", "available", 10), 2},
		} {
			before := trips.Load()
			_, err := s.Do(t.Context(), d.call, d.work)
			require.NoError(t, err, "%d: %s", i, d.name)
			require.Equal(t, d.want, trips.Load()-before, "round trips of %d: %s", i, d.name)
		}
	})
}

func TestRejectionTellsWhatIsLeft(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		for range 2 {
			_, err = s.Do(t.Context(), call("g1", tcc.Try), move("available", "frozen", 101))
			var r *tcc.Rejection
			require.ErrorAs(t, err, &r)
			require.Equal(t, &tcc.Rejection{Reason: "INSUFFICIENT_BALANCE", Metadata: map[string]string{"available": "100"}}, r)
			_, err = s.DB().ExecContext(t.Context(), "UPDATE account SET available = 100")
			require.NoError(t, err)
		}
	})
}

func TestGivenDatabaseWithoutFastPaths(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		c, err := mysqldriver.NewConnector(cfg)
		require.NoError(t, err)
		db := sql.OpenDB(c)
		defer func() { require.NoError(t, db.Close()) }()
		var log bytes.Buffer
		s, err := mysql.New(t.Context(), db, mysql.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Contains(t, log.String(), "multiStatements")
		require.Contains(t, log.String(), "innodb_lock_wait_timeout")
		for range 2 {
			res, err := s.Do(t.Context(), call("g1", tcc.Try), move("available", "frozen", 10))
			require.NoError(t, err)
			require.Equal(t, "response", string(res.Response))
		}
		_, err = s.Do(t.Context(), call("g1", tcc.Cancel), move("frozen", "available", 10))
		require.NoError(t, err)
		_, err = s.Do(t.Context(), call("g2", tcc.Try), move("available", "frozen", 1000))
		var r *tcc.Rejection
		require.ErrorAs(t, err, &r)
		require.NoError(t, s.Close())
		require.NoError(t, db.PingContext(t.Context()), "Close leaves a given database open")
	})
}

func TestOpenRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		for _, c := range []struct {
			name   string
			change func(*mysqldriver.Config)
			before string
			want   string
		}{
			{"rows that are found", func(c *mysqldriver.Config) { c.ClientFoundRows = true }, "", "clientFoundRows"},
			{"no database", func(c *mysqldriver.Config) { c.DBName = "" }, "", "names no database"},
			{"a wrong password", func(c *mysqldriver.Config) { c.Passwd = "wrong" }, "", "the server refuses"},
			{"an unreachable server", func(c *mysqldriver.Config) { c.Addr = "127.0.0.1:1" }, "", "cannot reach the server"},
			{"quotes that change", func(c *mysqldriver.Config) { c.Params = map[string]string{"sql_mode": "'ANSI_QUOTES'"} }, "", "ANSI_QUOTES"},
			{"a folding collation", nil, "ALTER TABLE sub_transaction_barrier MODIFY gid VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL", "merges different ids"},
			{"a missing column", nil, "ALTER TABLE sub_transaction_barrier DROP COLUMN reason", "no column reason"},
			{"an engine without transactions", nil, "ALTER TABLE sub_transaction_barrier ENGINE = MyISAM", "no transactions"},
			{"no table", nil, "DROP TABLE sub_transaction_barrier", "mysql.Schema"},
		} {
			t.Run(c.name, func(t *testing.T) {
				if c.before != "" {
					exec(t, cfg, c.before)
				}
				own := cfg.Clone()
				if c.change != nil {
					c.change(own)
				}
				_, err := mysql.Open(t.Context(), own, mysql.Options{})
				require.ErrorContains(t, err, c.want)
			})
		}
	})
}

// TestNewRefusesFoundRows: a *sql.DB does not tell its DSN, so the store finds
// out by counting.
func TestNewRefusesFoundRows(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		own := cfg.Clone()
		own.ClientFoundRows = true
		c, err := mysqldriver.NewConnector(own)
		require.NoError(t, err)
		db := sql.OpenDB(c)
		defer func() { require.NoError(t, db.Close()) }()
		_, err = mysql.New(t.Context(), db, mysql.Options{})
		require.ErrorContains(t, err, "clientFoundRows")
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM sub_transaction_barrier").Scan(&n))
		require.Zero(t, n, "the check left a row behind")
	})
}

// countTrips makes cfg's connections count what they send: the client of this
// protocol waits for the answer to each packet, so one write is one round
// trip. Setting up a connection counts too.
func countTrips(t *testing.T, cfg *mysqldriver.Config) *atomic.Int64 {
	var n atomic.Int64
	name := "count" + strings.ReplaceAll(t.Name(), "/", "")
	mysqldriver.RegisterDialContext(name, countingDialer(&n))
	cfg.Net = name
	t.Cleanup(func() { mysqldriver.DeregisterDialContext(name) })
	return &n
}

// TestStatementsAreText: MySQL's information_schema.processlist fails for
// everybody while a statement runs that is not.
func TestStatementsAreText(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		lock, err := s.DB().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer func() { _ = lock.Rollback() }()
		binary := call("g1", tcc.Try)
		binary.Request = []byte("\xe2+-\x05\xff")
		_, err = lock.ExecContext(t.Context(), "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES ('g1', '01', 3, NOW(3))")
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := s.Do(t.Context(), binary, func(context.Context, barrier.Tx) ([]byte, error) { return []byte("\xff\xfe"), nil })
			done <- err
		}()
		testserver.LockWaits(t, cfg, 1)
		var info string
		require.NoError(t, s.DB().QueryRowContext(t.Context(),
			"SELECT info FROM information_schema.processlist WHERE info LIKE 'INSERT INTO sub_transaction_barrier%' AND db = DATABASE()").Scan(&info))
		require.Contains(t, info, "e22b2d05ff")
		require.NoError(t, lock.Rollback())
		require.NoError(t, <-done)
		res, err := s.Do(t.Context(), binary, func(context.Context, barrier.Tx) ([]byte, error) { return nil, nil })
		require.NoError(t, err)
		require.Equal(t, "\xff\xfe", string(res.Response))
		stuck, err := s.Stuck(t.Context(), barrier.StuckOptions{OlderThan: 1})
		require.NoError(t, err)
		require.Len(t, stuck, 1)
		require.Equal(t, binary.Request, stuck[0].Request)
	})
}

// The server's settings are the operator's, but not in silence.
func TestOpenWarnsOfCommitsThatMayBeLost(t *testing.T) {
	server := testserver.StartMySQL(t)
	cfg := server.Database()
	exec(t, cfg, mysql.Schema)
	for _, c := range []struct{ set, want string }{
		{"SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL sync_binlog = 1", ""},
		{"SET GLOBAL sync_binlog = 0", "sync_binlog = 0"},
		{"SET GLOBAL innodb_flush_log_at_trx_commit = 2", "innodb_flush_log_at_trx_commit = 2"},
	} {
		exec(t, cfg, c.set)
		var log bytes.Buffer
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		if c.want == "" {
			require.Empty(t, log.String())
		} else {
			require.Contains(t, log.String(), c.want)
		}
	}
}
