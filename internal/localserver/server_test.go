package localserver_test

import (
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/internal/localserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a server that the test's end stops.
func start(t *testing.T, cfg localserver.Config) *localserver.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the real servers that make test installs")
	}
	cfg.Dir = t.TempDir()
	s, err := localserver.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func open(t *testing.T, cfg *mysql.Config) *sql.DB {
	t.Helper()
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestSQLServerIsDurableAndKeepsWhatWasCommittedWhenKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range []localserver.Kind{localserver.MySQL, localserver.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := start(t, localserver.Config{Kind: kind})
			ctx, db, addr := t.Context(), open(t, s.SQL()), s.Addr()

			var flush int
			require.NoError(t, db.QueryRowContext(ctx, "SELECT @@innodb_flush_log_at_trx_commit").Scan(&flush))
			require.Equal(t, 1, flush)
			_, err := db.ExecContext(ctx, "CREATE DATABASE d")
			require.NoError(t, err)
			_, err = db.ExecContext(ctx, "CREATE TABLE d.t (id INT PRIMARY KEY)")
			require.NoError(t, err)
			_, err = db.ExecContext(ctx, "INSERT INTO d.t VALUES (42)")
			require.NoError(t, err)

			require.NoError(t, s.Kill())
			require.Error(t, db.PingContext(ctx))
			require.NoError(t, s.Restart(ctx))

			require.Equal(t, addr, s.Addr())
			var id int
			require.NoError(t, db.QueryRowContext(ctx, "SELECT id FROM d.t").Scan(&id))
			require.Equal(t, 42, id)
		})
	}
}

func TestRedisKeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	t.Parallel()
	s := start(t, localserver.Config{Kind: localserver.Redis, Args: []string{"--appendfsync", "always"}})
	client := redis.NewClient(&redis.Options{Addr: s.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())

	require.NoError(t, s.Kill())
	require.NoError(t, s.Restart(t.Context()))

	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
}

func TestStopFreesThePortAndIsIdempotent(t *testing.T) {
	t.Parallel()
	s := start(t, localserver.Config{Kind: localserver.Redis})
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop())

	_, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	require.ErrorContains(t, err, "refused")
}

func TestRestartOfARunningServerIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, localserver.Config{Kind: localserver.Redis})
	require.ErrorContains(t, s.Restart(t.Context()), "runs already")
}

func TestFailedStartShowsTheServersLog(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs the real servers that make test installs")
	}
	_, err := localserver.Start(t.Context(), localserver.Config{
		Kind: localserver.MySQL, Dir: t.TempDir(), Args: []string{"--no-such-option"},
	})
	require.ErrorContains(t, err, "the process ended")
	require.ErrorContains(t, err, "unknown option '--no-such-option'")
}

func TestMissingProgramsSayWhatToRun(t *testing.T) {
	t.Parallel()
	_, err := localserver.Start(t.Context(), localserver.Config{
		Kind: localserver.MariaDB, Dir: t.TempDir(), Programs: filepath.Join(t.TempDir(), "none"),
	})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "deploy/local/get-servers.sh")
}
