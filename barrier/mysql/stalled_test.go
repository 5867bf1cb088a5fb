package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// TestTryHeldElsewhere: a coordinator delivers one branch again and again, 3 s
// each time, whose Try another process holds open. 64 callers of other branches
// are answered meanwhile; in the long form the rate at which they are is
// compared with that of the same run without it.
func TestTryHeldElsewhere(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		connector, err := mysqldriver.NewConnector(cfg)
		require.NoError(t, err)
		admin := sql.OpenDB(connector)
		defer func() { require.NoError(t, admin.Close()) }()
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()

		load := startCallers(t, s, admin)
		defer load.stop()
		// In turns and on both sides, for what else the machine does comes and goes, and tables grow.
		// Each turn begins with the one batch that meets the row and waits for it, a second.
		turns, window := testserver.Volume(1, 5), time.Duration(testserver.Volume(150, 4000))*time.Millisecond
		var without, with float64
		for turn := range turns {
			without += load.rate(window) / 2
			release := holdTry(t, s, admin, fmt.Sprintf("00000000-held-%d", turn))
			with += load.rate(4 * window)
			release()
			without += load.rate(window) / 2
		}
		t.Logf("%.0f deliveries/s, and %.0f while a Try is held elsewhere: %.2f", without/float64(turns), with/float64(turns), with/without)
		if testserver.Volume(0, 1) == 1 {
			require.GreaterOrEqual(t, with/without, 0.8, "the others' rate while a Try is held, over their rate otherwise")
		}
		load.stop()
		require.Empty(t, load.failures())
	})
}

// callers are 64 that deliver branches one after another.
type callers struct {
	answered atomic.Int64
	stopped  atomic.Bool
	all      sync.WaitGroup
	mu       sync.Mutex
	errs     []error
}

func startCallers(t *testing.T, s *mysql.Store, admin *sql.DB) *callers {
	l := new(callers)
	for i := range 64 {
		id := fmt.Sprintf("l%02d", i)
		_, err := admin.ExecContext(t.Context(), "INSERT INTO account (id, available) VALUES (?, 1000000)", id)
		require.NoError(t, err)
		l.all.Go(func() {
			for n := 0; !l.stopped.Load(); n++ {
				gid := fmt.Sprintf("%08d-%s", n, id)
				for _, p := range []tcc.Phase{tcc.Try, tcc.Confirm} {
					if _, err := s.Do(context.Background(), call(gid, p), taking(p, id, 1)); err != nil {
						l.mu.Lock()
						l.errs = append(l.errs, err)
						l.mu.Unlock()
					}
					l.answered.Add(1)
				}
			}
		})
	}
	return l
}

// rate is how many deliveries a second are answered, over a while.
func (l *callers) rate(over time.Duration) float64 {
	begin, from := time.Now(), l.answered.Load()
	<-time.After(over)
	return float64(l.answered.Load()-from) / time.Since(begin).Seconds()
}

func (l *callers) stop() {
	l.stopped.Store(true)
	l.all.Wait()
}

func (l *callers) failures() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errs
}

// holdTry begins to deliver a branch whose row another transaction has
// inserted, until the returned function is called.
func holdTry(t *testing.T, s *mysql.Store, admin *sql.DB, gid string) (end func()) {
	c := call(gid, tcc.Try)
	tx, err := admin.BeginTx(context.Background(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES (?, ?, 1, NOW(3))", c.Branch.GID, c.Branch.ID)
	require.NoError(t, err)
	var ended atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for !ended.Load() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			_, err := s.Do(ctx, c, func(context.Context, barrier.Tx) ([]byte, error) { return nil, nil })
			cancel()
			if err == nil && !ended.Load() {
				t.Error("a Try was done that another process holds")
			}
		}
	})
	return func() {
		ended.Store(true)
		require.NoError(t, tx.Rollback())
		all.Wait()
	}
}
