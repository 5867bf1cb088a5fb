package mysql

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

// maxBatchBytes bounds what the rows of one batch carry, so that a batch of
// long requests fits a server's max_allowed_packet (16 MiB on MariaDB).
const maxBatchBytes = 4 << 20

var errQueueFull = errors.New("barrier/mysql: the queue of branches was full all the time")

// group is a store's queue of branches and its workers. A worker takes what
// queued up while its last batch was in flight: nothing is ever delayed to
// make a batch larger. It implements sqlbranch.Group.
type group struct {
	// run carries out a batch and gives each of its shares a verdict.
	run func(batch []*share)
	// most is how many branches one batch may have.
	most    int
	workers int
	logger  *slog.Logger
	// places has one entry for each share in the queue.
	places chan struct{}
	// wary counts down the batches that look at their Cancels' rows first.
	wary atomic.Int32

	mu    sync.Mutex
	queue []*share
	busy  int // workers that are running
	// here counts, for each branch, its deliveries in this process and its
	// shares in the group.
	here    map[branchKey]int
	blocked blocked
	closed  bool
	running sync.WaitGroup // workers, and what they leave behind
}

type branchKey struct{ gid, id string }

func keyOf(b tcc.Branch) branchKey { return branchKey{b.GID, b.ID} }

// ending is what Join returns.
type ending struct {
	verdict sqlbranch.Verdict
	err     error
}

func newGroup(opts Options, run func(batch []*share)) *group {
	return &group{run: run, most: opts.Batch, workers: opts.Workers, logger: opts.Logger, places: make(chan struct{}, opts.Queue), here: make(map[branchKey]int)}
}

// Arrive implements sqlbranch.Group.
func (g *group) Arrive(b tcc.Branch) (only bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := keyOf(b)
	g.here[k]++
	return g.here[k] == 1
}

// Leave implements sqlbranch.Group.
func (g *group) Leave(b tcc.Branch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leave(keyOf(b))
}

func (g *group) leave(k branchKey) {
	if g.here[k]--; g.here[k] == 0 {
		delete(g.here, k)
	}
}

// Join implements sqlbranch.Group.
func (g *group) Join(ctx context.Context, s sqlbranch.Share) (sqlbranch.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return sqlbranch.Verdict{}, err
	}
	sh, ok := newShare(ctx, s)
	if !ok {
		return sqlbranch.Verdict{Fate: sqlbranch.Alone}, nil
	}
	select {
	case g.places <- struct{}{}:
	default:
		select {
		case g.places <- struct{}{}:
		case <-ctx.Done():
			return sqlbranch.Verdict{}, tcc.Retry(errors.Join(errQueueFull, ctx.Err()))
		}
	}
	if !g.enqueue(sh) {
		<-g.places
		return sqlbranch.Verdict{Fate: sqlbranch.Alone}, nil
	}
	select {
	case e := <-sh.done:
		return e.verdict, e.err
	case <-ctx.Done():
	}
	if g.withdraw(sh) {
		return sqlbranch.Verdict{}, ctx.Err()
	}
	select {
	case e := <-sh.done: // in the same moment
		return e.verdict, e.err
	default:
		return sqlbranch.Verdict{}, ctx.Err()
	}
}

// enqueue queues a share and sees that there is a worker for it, unless the
// share must go alone.
func (g *group) enqueue(sh *share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.blocked.holds(sh.Share) {
		return false
	}
	g.queue = append(g.queue, sh)
	g.here[keyOf(sh.Call.Branch)]++
	if g.busy < g.workers {
		g.busy++
		g.running.Go(g.work)
	}
	return true
}

// withdraw takes a share out of the queue. One that is in a batch already it
// marks as abandoned, unless it has its verdict.
func (g *group) withdraw(sh *share) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, sh); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
		<-g.places
		g.leave(keyOf(sh.Call.Branch))
		return true
	}
	sh.abandoned = true
	return false
}

// work is a worker: it ends when the queue is empty.
func (g *group) work() {
	for {
		batch := g.take()
		if batch == nil {
			return
		}
		g.runSafely(batch)
	}
}

// runSafely keeps a panic from taking the process with it, and those from
// waiting for ever who wait for a verdict.
func (g *group) runSafely(batch []*share) {
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, sh := range batch {
			if !sh.ended {
				g.end(sh, ending{})
			}
		}
	}()
	defer g.recovered("a batch")
	g.run(batch)
}

// recovered is deferred where nobody else would recover a panic.
func (g *group) recovered(where string) {
	if v := recover(); v != nil {
		g.logger.Error("barrier: panic", "where", where, "panic", v, "stack", string(debug.Stack()))
	}
}

// take returns the next batch. Branches of which another delivery came since
// are sent away to run alone.
func (g *group) take() []*share {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.queue) > 0 {
		var batch []*share
		n, bytes := 0, 0
		for ; n < len(g.queue) && len(batch) < g.most; n++ {
			sh := g.queue[n]
			if bytes += sh.bytes; bytes > maxBatchBytes && len(batch) > 0 {
				break
			}
			<-g.places
			if g.here[keyOf(sh.Call.Branch)] > 2 { // its delivery and itself
				g.end(sh, ending{})
				continue
			}
			batch = append(batch, sh)
		}
		g.queue = slices.Delete(g.queue, 0, n)
		if len(batch) > 0 {
			return batch
		}
	}
	g.busy--
	return nil
}

// finish gives shares their verdict.
func (g *group) finish(e ending, shares ...*share) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, sh := range shares {
		g.end(sh, e)
	}
}

// end is finish for one. The caller holds mu.
func (g *group) end(sh *share, e ending) {
	sh.ended = true
	g.leave(keyOf(sh.Call.Branch))
	if !sh.abandoned {
		sh.done <- e
		return
	}
	if e.verdict.Fate == sqlbranch.Committed && len(sh.After) > 0 {
		// Not here: what is called may deliver branches of its own.
		g.running.Go(func() {
			defer g.recovered("AfterCommit")
			for _, f := range sh.After {
				f()
			}
		})
	}
}

// beWary has the Cancels to come looked at before they enter a batch.
func (g *group) beWary() { g.wary.Store(waryFor) }

// block keeps what a share waited for in vain out of the batches for a while.
func (g *group) block(s sqlbranch.Share) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked.add(s)
}

// unblock ends what block began: a share got through.
func (g *group) unblock(s sqlbranch.Share) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked.remove(s)
}

// close sends what comes from now on away, and waits for the workers.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.running.Wait()
}
