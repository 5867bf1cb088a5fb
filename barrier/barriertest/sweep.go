package barriertest

import (
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func sweep() []testCase {
	return []testCase{
		{name: "OldTerminalOnly", run: sweepOldTerminalOnly},
		{name: "InChunks", run: sweepInChunks},
		{name: "TwoAtOnce", run: sweepTwoAtOnce},
		{name: "WhileBranchesRun", run: sweepWhileBranchesRun},
		{name: "RefusesShortRetention", run: sweepRefusesShortRetention},
		{name: "SmallestRetention", run: sweepSmallestRetention},
	}
}

// swept says that a sweep is to delete the branch's row. Its business stays as
// it was.
func (w *world) swept(b *branch) {
	w.t.Helper()
	b.swept = w.state(w.t, b)
}

// old makes n empty-cancelled branches, which have no business, older than
// any retention.
func (w *world) old(n int) {
	w.t.Helper()
	for range n {
		b := newBranch(w.books, alone)
		w.want(emptyCancel, w.deliver(b, tcc.Cancel))
		w.age(b, 100*day)
	}
}

// sweepAll sweeps from the beginning to the end.
func (w *world) sweepAll(s barrier.Store, o barrier.SweepOptions) (scanned, deleted int64) {
	w.t.Helper()
	for range 1000 {
		res, err := s.Sweep(w.ctx, o)
		require.NoError(w.t, err)
		scanned, deleted = scanned+res.Scanned, deleted+res.Deleted
		if o.Limit > 0 {
			require.LessOrEqual(w.t, res.Scanned, int64(o.Limit), "a chunk has a bound")
		}
		if res.Done {
			return scanned, deleted
		}
		require.NotEqual(w.t, o.After, res.Next, "a sweep that is not done must move on")
		o.After = res.Next
	}
	require.FailNow(w.t, "the sweep does not end")
	return 0, 0
}

func sweepOldTerminalOnly(w *world) {
	var gone int64
	for _, s := range allStates {
		if s == barrier.None {
			continue
		}
		w.reach(s)
		young := w.reach(s)
		w.age(young, 29*day)
		b := w.reach(s)
		w.age(b, 31*day)
		if s.Terminal() {
			gone++
			w.swept(b)
		}
	}
	_, deleted := w.sweepAll(w.Store, barrier.SweepOptions{})
	require.Equal(w.t, gone, deleted)
	_, deleted = w.sweepAll(w.Store, barrier.SweepOptions{})
	require.Zero(w.t, deleted)
}

// sweepInChunks: another process can go on where one stopped.
func sweepInChunks(w *world) {
	w.old(11)
	kept := w.reach(barrier.Tried)
	w.age(kept, 100*day)
	w.old(4)
	other := w.replica()
	var o barrier.SweepOptions
	var scanned, deleted int64
	for i := range 20 {
		s := w.Store
		if i%2 == 1 {
			s = other.Store
		}
		o.Limit = 3
		res, err := s.Sweep(w.ctx, o)
		require.NoError(w.t, err)
		require.LessOrEqual(w.t, res.Scanned, int64(3))
		scanned, deleted = scanned+res.Scanned, deleted+res.Deleted
		if res.Done {
			require.Equal(w.t, []int64{16, 15}, []int64{scanned, deleted})
			return
		}
		o.After = res.Next
	}
	require.FailNow(w.t, "the sweep does not end")
}

func sweepTwoAtOnce(w *world) {
	w.old(60)
	w.reach(barrier.Tried)
	other := w.replica()
	var mu sync.Mutex
	var total int64
	answers := atOnce(4, func(i int) answer {
		o := barrier.SweepOptions{Limit: 7}
		s := []barrier.Store{w.Store, other.Store}[i%2]
		for {
			res, err := s.Sweep(w.ctx, o)
			if err != nil {
				return answer{err: err}
			}
			mu.Lock()
			total += res.Deleted
			mu.Unlock()
			if res.Done {
				return answer{res: barrier.Result{Outcome: tcc.Done}}
			}
			o.After = res.Next
		}
	})
	require.Equal(w.t, map[verdict]int{done: 4}, tally(answers), failures(answers))
	require.Equal(w.t, int64(60), total, "each row is deleted by one of them")
}

// sweepWhileBranchesRun: the sweep is in nobody's way.
func sweepWhileBranchesRun(w *world) {
	w.old(60)
	it := w.item(w.t, account, "a", 1000)
	sweeping := begin(func() answer {
		o := barrier.SweepOptions{Limit: 5}
		for {
			res, err := w.Store.Sweep(w.ctx, o)
			if err != nil || res.Done {
				return answer{barrier.Result{Outcome: tcc.Done}, err}
			}
			o.After = res.Next
		}
	})
	answers := atOnce(4, func(i int) answer {
		var a answer
		for range 10 {
			b := w.branch(queued, line{it, 1})
			if a = b.deliver(w.ctx, w.Store, tcc.Try); a.err != nil {
				return a
			}
			if a = b.deliver(w.ctx, w.Store, allPhases[1+i%2]); a.err != nil {
				return a
			}
		}
		return a
	})
	require.Equal(w.t, map[verdict]int{done: 4}, tally(answers), failures(answers))
	w.want(done, sweeping.wait(w.t))
}

func sweepRefusesShortRetention(w *world) {
	w.old(3)
	for _, r := range []time.Duration{-1, 1, day, barrier.MinRetention - 1} {
		_, err := w.Store.Sweep(w.ctx, barrier.SweepOptions{Retention: r})
		require.Error(w.t, err, "a retention of %s", r)
	}
	_, err := w.Store.Sweep(w.ctx, barrier.SweepOptions{Limit: -1})
	require.Error(w.t, err, "a negative limit")
	scanned, deleted := w.sweepAll(w.Store, barrier.SweepOptions{})
	require.Equal(w.t, []int64{3, 3}, []int64{scanned, deleted}, "nothing was deleted before")
}

func sweepSmallestRetention(w *world) {
	w.age(w.reach(barrier.EmptyCancelled), 7*day)
	b := w.reach(barrier.EmptyCancelled)
	w.age(b, 9*day)
	w.swept(b)
	_, deleted := w.sweepAll(w.Store, barrier.SweepOptions{Retention: barrier.MinRetention})
	require.Equal(w.t, int64(1), deleted)
}
