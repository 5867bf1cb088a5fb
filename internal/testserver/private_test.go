package testserver_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

func TestPrivateSQLServerSurvivesAKill(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *testserver.Server{
		"mysql":   testserver.StartMySQL,
		"mariadb": testserver.StartMariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			db := open(t, s.Database())
			mustExec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)")
			mustExec(t, db, "INSERT INTO t VALUES (1)")
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			mustExec(t, tx, "INSERT INTO t VALUES (2)")

			s.Kill()
			require.Error(t, tx.Commit())
			s.Restart()

			var rows int
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&rows))
			require.Equal(t, 1, rows)
			s.Stop()
			require.Error(t, db.PingContext(t.Context()))
		})
	}
}

func TestPrivateRedisSurvivesAKill(t *testing.T) {
	t.Parallel()
	s := testserver.StartRedis(t)
	client := openRedis(t, s.Addr())
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	s.Kill()
	s.Restart()
	require.Equal(t, "v", client.Get(t.Context(), "k").Val())
}

func TestProxyCutsMySQLAroundACommit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut  func(*testserver.Proxy, string) *testserver.Point
		rows int
	}{
		"before": {(*testserver.Proxy).CutBefore, 0},
		"after":  {(*testserver.Proxy).CutAfter, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testserver.MySQL(t)
			direct := open(t, cfg)
			mustExec(t, direct, "CREATE TABLE t (id INT PRIMARY KEY)")
			p := testserver.NewProxy(t, cfg.Addr)
			through := cfg.Clone()
			through.Addr = p.Addr()
			db := open(t, through)
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			mustExec(t, tx, "INSERT INTO t VALUES (1)")

			point := c.cut(p, "COMMIT")
			require.Error(t, tx.Commit())
			point.Wait()

			testserver.NoOpenTransactions(t, cfg)
			var rows int
			require.NoError(t, direct.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&rows))
			require.Equal(t, c.rows, rows)
		})
	}
}
