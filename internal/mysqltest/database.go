// Package mysqltest opens databases of MySQL and MariaDB for the barrier's conformance cases.
package mysqltest

import (
	"context"
	"database/sql"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier/barriertest"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
)

// Database makes the barrier's table in the database of cfg.
func Database(t *testing.T, cfg *mysqldriver.Config, opts mysql.Options) barriertest.Database {
	t.Helper()
	connector, err := mysqldriver.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), mysql.Schema)
	require.NoError(t, err)
	open := func(t *testing.T, cfg *mysqldriver.Config) barriertest.Instance {
		s, err := mysql.Open(t.Context(), cfg, opts)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return barriertest.Instance{Store: s, Pool: s.DB()}
	}
	return barriertest.Database{
		DB:    db,
		Store: func(t *testing.T) barriertest.Instance { return open(t, cfg) },
		Proxied: func(t *testing.T) (barriertest.Instance, barriertest.Proxy) {
			p := testserver.NewProxy(t, cfg.Addr)
			through := cfg.Clone()
			through.Addr = p.Addr()
			return open(t, through), proxy{p}
		},
	}
}

// proxy is a testserver.Proxy that knows how a store sends COMMIT: alone, which
// follows the byte for a query, or as the last of several statements. (The word
// alone is also in READ COMMITTED.)
type proxy struct{ *testserver.Proxy }

func (p proxy) CutBeforeCommit() barriertest.Point { return cut(p.CutBefore) }
func (p proxy) CutAfterCommit() barriertest.Point  { return cut(p.CutAfter) }

func cut(at func(pattern string) *testserver.Point) barriertest.Point {
	alone, last := at("\x03COMMIT"), at("; COMMIT")
	return either{alone.Reached(), last.Reached()}
}

// either is a point that is reached when one of two channels is closed.
type either [2]<-chan struct{}

func (e either) Wait(ctx context.Context) error {
	select {
	case <-e[0]:
		return nil
	case <-e[1]:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
