package mysql_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// TestSweepWhileCallersWork sweeps many rows, in the long form a million, while
// 32 callers run branches: all old rows go and nothing else, the sweep's memory
// does not grow with the number of rows, and in the long form it does not double
// the callers' p99. It stops again and again, for the callers alone to be
// measured, and goes on where it stopped.
func TestSweepWhileCallersWork(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		const callers, kept = 32, 100
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		n, window := testserver.Volume(20_000, 1_000_000), testserver.Volume(2000, 20_000)
		fillOld(t, s, n, kept)
		load := startCrew(t, s, callers)
		load.await(window)
		load.cut()
		heap := &heapStore{Store: s}
		sweeper, err := barrier.NewSweeper(barrier.SweeperConfig{Store: heap})
		require.NoError(t, err)

		during, idle := newTimes(), newTimes()
		var p barrier.Position
		for done := false; !done; {
			p, done = load.sweepFor(window, sweeper, p)
			during.Merge(load.cut())
			load.await(window)
			idle.Merge(load.cut())
		}
		load.stop()

		var left int
		require.NoError(t, s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM sub_transaction_barrier WHERE updated_at < UTC_TIMESTAMP() - INTERVAL 30 DAY").Scan(&left))
		require.Equal(t, kept, left, "old TRIED rows stay")
		first, most := heap.growth()
		t.Logf("%d rows; %d branches meanwhile, p99 %s, and %d between, p99 %s; heap %d KiB after the first chunks, at most %d KiB",
			n, during.TotalCount(), p99(during), idle.TotalCount(), p99(idle), first>>10, most>>10)
		require.Less(t, most, first+8<<20, "the sweep's memory grows with the rows")
		if n == 1_000_000 {
			require.Less(t, p99(during), 2*p99(idle), "the sweep is in the callers' way")
		}
	})
}

// fillOld writes n terminal rows that ended long ago, and some that are TRIED
// since.
func fillOld(t *testing.T, s *mysql.Store, n, tried int) {
	t.Helper()
	const rows = 5000
	long := time.Now().Add(-40 * 24 * time.Hour)
	for begin := 0; begin < n+tried; begin += rows {
		var q strings.Builder
		q.WriteString("INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES ")
		for i := begin; i < min(begin+rows, n+tried); i++ {
			state := 2 + i%4
			if i%(n/tried) == 0 && i/(n/tried) < tried {
				state = 1
			}
			if i > begin {
				q.WriteByte(',')
			}
			fmt.Fprintf(&q, "('%s','01',%d,UTC_TIMESTAMP(3) - INTERVAL 40 DAY)", uuidAt(long.Add(time.Duration(i)*time.Millisecond)), state)
		}
		_, err := s.DB().ExecContext(t.Context(), q.String())
		require.NoError(t, err)
	}
}

// uuidAt is a UUIDv7 of another time.
func uuidAt(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id.String()
}

// crew is callers who run branches, one after another each.
type crew struct {
	t       *testing.T
	cancel  context.CancelFunc
	running sync.WaitGroup
	n       atomic.Int64

	mu    sync.Mutex
	times *hdrhistogram.Histogram
}

func startCrew(t *testing.T, s *mysql.Store, callers int) *crew {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &crew{t: t, cancel: cancel, times: newTimes()}
	t.Cleanup(l.stop)
	for range callers {
		l.running.Go(func() {
			for ctx.Err() == nil {
				b := tcc.Branch{GID: uuid.Must(uuid.NewV7()).String(), ID: "01"}
				for _, phase := range []tcc.Phase{tcc.Try, tcc.Confirm} {
					b.Phase = phase
					began := time.Now()
					_, err := s.Do(ctx, barrier.Call{Branch: b, Request: []byte("request")}, func(context.Context, barrier.Tx) ([]byte, error) { return nil, nil })
					if ctx.Err() != nil {
						return
					}
					if err != nil {
						t.Errorf("%s: %v", b, err)
						return
					}
					l.add(time.Since(began))
				}
			}
		})
	}
	return l
}

func (l *crew) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.times.RecordValue(d.Microseconds()) // longer than a minute is no time of a branch
	l.n.Add(1)
}

func newTimes() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Minute.Microseconds(), 3) }

// await waits for so many more branches.
func (l *crew) await(branches int) {
	l.t.Helper()
	want := l.n.Load() + int64(branches)
	require.Eventually(l.t, func() bool { return l.n.Load() >= want || l.t.Failed() }, 2*time.Minute, 5*time.Millisecond)
}

// sweepFor sweeps while the callers run so many branches, at most, and returns
// where it has come to.
func (l *crew) sweepFor(branches int, sweeper *barrier.Sweeper, after barrier.Position) (barrier.Position, bool) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	swept := make(chan barrier.SweepResult, 1)
	var err error
	go func() {
		var res barrier.SweepResult
		res, err = sweeper.Sweep(ctx, after)
		swept <- res
	}()
	want := l.n.Load() + int64(branches)
	var res *barrier.SweepResult
	require.Eventually(l.t, func() bool {
		select {
		case r := <-swept:
			res = &r
		default:
		}
		return res != nil || l.n.Load() >= want || l.t.Failed()
	}, 2*time.Minute, time.Millisecond)
	cancel()
	if res == nil {
		r := <-swept
		res = &r
	}
	if !res.Done {
		require.ErrorIs(l.t, err, context.Canceled)
	}
	return res.Next, res.Done
}

// cut returns the times since the last cut.
func (l *crew) cut() *hdrhistogram.Histogram {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := l.times
	l.times = newTimes()
	return times
}

func (l *crew) stop() {
	l.cancel()
	l.running.Wait()
}

func p99(times *hdrhistogram.Histogram) time.Duration {
	return time.Duration(times.ValueAtQuantile(99)) * time.Microsecond
}

// heapStore measures what is alive after chunks of a sweep.
type heapStore struct {
	barrier.Store
	chunks int
	heaps  []uint64
}

func (h *heapStore) Sweep(ctx context.Context, opts barrier.SweepOptions) (barrier.SweepResult, error) {
	res, err := h.Store.Sweep(ctx, opts)
	if h.chunks++; h.chunks%10 == 5 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		h.heaps = append(h.heaps, m.HeapAlloc)
	}
	return res, err
}

// growth returns the first measurement and the largest.
func (h *heapStore) growth() (first, most uint64) {
	return h.heaps[0], slices.Max(h.heaps)
}
