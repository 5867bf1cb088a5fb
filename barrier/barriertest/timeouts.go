package barriertest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func timeouts() []testCase {
	return []testCase{
		{name: "RowHeldTooLong", run: timeoutRowHeld},
		{name: "CallerGoesAway", run: timeoutCallerGoesAway},
		{name: "CallerIsGoneAlready", forms: allForms, run: timeoutCallerIsGone},
		{name: "CallerGoesAwayInWork", forms: allForms, run: timeoutCallerGoesAwayInWork},
	}
}

// due is a branch, the phase that it takes next, and a work function for it.
type due struct {
	b    *branch
	p    tcc.Phase
	work barrier.Work
}

// everyKind makes a branch for each form and phase. Where there is one writer
// at a time they would wait for the lock in turns, and the form makes no
// difference: there one of them speaks for all.
func (w *world) everyKind(it item) []due {
	w.t.Helper()
	forms, phases := allForms, allPhases
	if !w.dialect.rowLocks() {
		forms, phases = allForms[:1], []tcc.Phase{tcc.Cancel}
	}
	var all []due
	for _, f := range forms {
		for _, p := range phases {
			b := w.branch(f, line{it, 1})
			if p != tcc.Try {
				w.want(done, w.deliver(b, tcc.Try))
			}
			all = append(all, due{b, p, b.work(p)})
		}
	}
	return all
}

// careless are branches whose work takes a statement's error for a business
// no, or goes on as if nothing had happened.
func (w *world) careless(it item) []due {
	stray := func(ctx context.Context, tx barrier.Tx) { _, _ = tx.ExecContext(ctx, write) }
	onError := []func(ctx context.Context, tx barrier.Tx) error{
		func(ctx context.Context, tx barrier.Tx) error { stray(ctx, tx); return tcc.Reject("BUSY", "", nil) },
		func(ctx context.Context, tx barrier.Tx) error { stray(ctx, tx); return nil },
		func(context.Context, barrier.Tx) error { return tcc.Reject("BUSY", "", nil) },
		func(context.Context, barrier.Tx) error { return errors.New("in other words") },
	}
	if !w.dialect.rowLocks() {
		onError = onError[:1]
	}
	var all []due
	for _, f := range onError {
		b := w.branch(direct, line{it, 1})
		all = append(all, due{b, tcc.Try, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			resp, err := b.work(tcc.Try)(ctx, tx)
			if err != nil {
				err = f(ctx, tx)
			}
			return resp, err
		}})
	}
	return all
}

// timeoutRowHeld: somebody holds a row longer than the store waits. That is
// no answer of the business, whatever the work makes of it: nothing happened,
// and later it does.
func timeoutRowHeld(w *world) {
	it := w.item(w.t, account, "a", 1000)
	all := append(w.everyKind(it), w.careless(it)...)
	h := w.hold(it)
	answers := atOnce(len(all), func(i int) answer { return w.deliverWork(all[i].b, all[i].p, all[i].work) })
	require.Equal(w.t, map[verdict]int{unavailable: len(all)}, tally(answers), failures(answers))
	for _, d := range all {
		w.wantState(beforePhase(d.p), d.b)
	}
	open, waiting, err := w.dialect.transactions(w.ctx, w.db)
	require.NoError(w.t, err)
	require.Equal(w.t, []int{1, 0}, []int{open, waiting}, "open and waiting transactions, the test's own among them")
	h.release()
	require.Empty(w.t, w.memos(), "what careless work wrote after the error")
	for _, d := range all {
		w.want(done, w.settle(d.b, d.p))
	}
}

// timeoutCallerGoesAway: a caller that gives up, or whose deadline passes, gets
// its context's error while the row is still held, and the server does not go
// on waiting for long.
func timeoutCallerGoesAway(w *world) {
	it := w.item(w.t, account, "a", 1000)
	leaving, late := w.everyKind(it), w.everyKind(it)
	all := append(leaving, late...)
	h := w.hold(it)
	leave, cancel := context.WithCancel(w.ctx)
	defer cancel()
	end, cancelEnd := context.WithTimeout(w.ctx, time.Second)
	defer cancelEnd()
	var answers []answer
	c := begin(func() answer {
		answers = atOnce(len(all), func(i int) answer {
			ctx := leave
			if i >= len(leaving) {
				ctx = end
			}
			return all[i].b.deliver(ctx, w.Store, all[i].p)
		})
		return answer{}
	})
	w.awaitLockWaits(1)
	cancel()
	c.wait(w.t)
	for i, a := range answers {
		reason := context.Canceled
		if i >= len(leaving) {
			reason = context.DeadlineExceeded
		}
		require.ErrorIs(w.t, a.err, reason, "%s", all[i].p)
		require.NotContains(w.t, string(a.verdict()), string(rejected))
		require.NotContains(w.t, string(a.verdict()), "conflict")
	}
	w.eventually("the server to give up the statements of a caller that is gone", func() bool {
		open, waiting, err := w.dialect.transactions(w.ctx, w.db)
		require.NoError(w.t, err)
		return open == 1 && waiting == 0
	})
	for _, d := range all {
		w.wantState(beforePhase(d.p), d.b)
	}
	h.release()
	for _, d := range all {
		w.want(done, w.settle(d.b, d.p))
	}
}

func timeoutCallerIsGone(w *world) {
	it := w.item(w.t, account, "a", 1000)
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	for _, p := range allPhases {
		b := w.ready(it, p)
		require.ErrorIs(w.t, b.deliver(ctx, w.Store, p).err, context.Canceled)
		w.wantState(beforePhase(p), b)
		w.want(done, w.deliver(b, p))
	}
}

// timeoutCallerGoesAwayInWork: whether the commit still happens is the
// store's choice, but answer and database must agree.
func timeoutCallerGoesAwayInWork(w *world) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		for _, first := range []bool{true, false} {
			b := w.ready(it, p)
			ctx, cancel := context.WithCancel(w.ctx)
			leave := func(context.Context, barrier.Tx) error { cancel(); return nil }
			work := b.after(p, leave)
			if first {
				work = b.before(p, leave)
			}
			a := b.deliverWork(ctx, w.Store, p, work)
			if a.err == nil {
				w.want(done, a)
				w.wantState(after(beforePhase(p), p), b)
				continue
			}
			require.ErrorIs(w.t, a.err, context.Canceled)
			w.quiet()
			w.wantState(beforePhase(p), b)
			w.want(done, w.deliver(b, p))
		}
	}
}
