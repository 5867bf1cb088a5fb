package mysql_test

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

func TestConformance(t *testing.T) { onEachHarness(t, barriertest.Run) }

func TestProperty(t *testing.T) { onEachHarness(t, barriertest.Property) }

func TestMixtures(t *testing.T) { onEachHarness(t, barriertest.Mixtures) }

// onEachHarness runs f on each kind of server, with work under each isolation
// level, and with a transaction for each branch.
func onEachHarness(t *testing.T, f func(*testing.T, barriertest.Harness)) {
	type harness struct {
		name    string
		dialect barriertest.Dialect
		server  func(testing.TB) *mysqldriver.Config
		opts    mysql.Options
	}
	harnesses := []harness{
		{"MySQL/ReadCommitted", barriertest.MySQL, testserver.MySQL, mysql.Options{}},
		{"MySQL/RepeatableRead", barriertest.MySQL, testserver.MySQL, mysql.Options{RepeatableRead: true}},
		{"MariaDB/ReadCommitted", barriertest.MariaDB, testserver.MariaDB, mysql.Options{}},
		{"MariaDB/RepeatableRead", barriertest.MariaDB, testserver.MariaDB, mysql.Options{RepeatableRead: true}},
		{"MySQL/OneByOne", barriertest.MySQL, testserver.MySQL, mysql.Options{Batch: 1}},
	}
	if testserver.Volume(0, 1) == 1 {
		harnesses = append(harnesses,
			harness{"MariaDB/OneByOne", barriertest.MariaDB, testserver.MariaDB, mysql.Options{Batch: 1, RepeatableRead: true}},
			harness{"MySQL/ThreeWorkers", barriertest.MySQL, testserver.MySQL, mysql.Options{Batch: 8, Workers: 3}},
		)
	}
	for _, c := range harnesses {
		t.Run(c.name, func(t *testing.T) {
			f(t, barriertest.Harness{Dialect: c.dialect, Open: func(t *testing.T) barriertest.Database {
				return openDatabase(t, c.server(t), c.opts)
			}})
		})
	}
}

// openDatabase makes the barrier's table in the database of cfg.
func openDatabase(t *testing.T, cfg *mysqldriver.Config, opts mysql.Options) barriertest.Database {
	exec(t, cfg, mysql.Schema)
	connector, err := mysqldriver.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
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

var commits = [...]string{"\x03COMMIT", "; COMMIT"}

func (p proxy) CutBeforeCommit() barriertest.Point { return cut(p.CutBefore) }
func (p proxy) CutAfterCommit() barriertest.Point  { return cut(p.CutAfter) }

func cut(at func(pattern string) *testserver.Point) barriertest.Point {
	alone, last := at(commits[0]), at(commits[1])
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
