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
		{name: "RowHeldTooLongAndWorkDoesNotMind", run: timeoutWorkDoesNotMind},
		{name: "CallerGoesAway", run: func(w *world) { timeoutCaller(w, context.Canceled) }},
		{name: "CallersDeadline", run: func(w *world) { timeoutCaller(w, context.DeadlineExceeded) }},
		{name: "CallerIsGoneAlready", forms: allForms, run: timeoutCallerIsGone},
		{name: "CallerGoesAwayInWork", forms: allForms, run: timeoutCallerGoesAwayInWork},
	}
}

// due is a branch and the phase that it takes next.
type due struct {
	b *branch
	p tcc.Phase
}

// everyKind makes a branch for each form and phase.
func (w *world) everyKind(it item) []due {
	w.t.Helper()
	var all []due
	for _, f := range allForms {
		for _, p := range allPhases {
			b := w.branch(f, line{it, 1})
			if p != tcc.Try {
				w.want(done, w.deliver(b, tcc.Try))
			}
			all = append(all, due{b, p})
		}
	}
	return all
}

// timeoutRowHeld: somebody holds a row longer than the store waits. That is
// no answer of the business: nothing happened, and later it does.
func timeoutRowHeld(w *world) {
	it := w.item(w.t, account, "a", 1000)
	all := w.everyKind(it)
	h := w.hold(it)
	answers := atOnce(len(all), func(i int) answer { return w.deliver(all[i].b, all[i].p) })
	require.Equal(w.t, map[verdict]int{unavailable: len(all)}, tally(answers), failures(answers))
	for _, d := range all {
		w.wantState(beforePhase(d.p), d.b)
	}
	open, waiting, err := w.dialect.transactions(w.ctx, w.db)
	require.NoError(w.t, err)
	require.Equal(w.t, []int{1, 0}, []int{open, waiting}, "open and waiting transactions, the test's own among them")
	h.release()
	for _, d := range all {
		w.want(done, w.settle(d.b, d.p))
	}
}

// timeoutWorkDoesNotMind: work that takes the timeout for a business no, or
// goes on as if nothing had happened, does not get its way.
func timeoutWorkDoesNotMind(w *world) {
	it := w.item(w.t, account, "a", 1000)
	stray := func(ctx context.Context, tx barrier.Tx) { _, _ = tx.ExecContext(ctx, write) }
	works := []func(ctx context.Context, tx barrier.Tx, err error) error{
		func(context.Context, barrier.Tx, error) error { return tcc.Reject("BUSY", "", nil) },
		func(ctx context.Context, tx barrier.Tx, _ error) error { stray(ctx, tx); return nil },
		func(ctx context.Context, tx barrier.Tx, _ error) error {
			stray(ctx, tx)
			return tcc.Reject("BUSY", "", nil)
		},
		func(context.Context, barrier.Tx, error) error { return errors.New("in other words") },
	}
	var all []*branch
	for range works {
		all = append(all, w.branch(direct, line{it, 1}))
	}
	h := w.hold(it)
	answers := atOnce(len(all), func(i int) answer {
		return w.deliverWork(all[i], tcc.Try, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			resp, err := all[i].work(tcc.Try)(ctx, tx)
			if err != nil {
				err = works[i](ctx, tx, err)
			}
			return resp, err
		})
	})
	require.Equal(w.t, map[verdict]int{unavailable: len(all)}, tally(answers), failures(answers))
	for _, b := range all {
		w.wantState(barrier.None, b)
	}
	require.Empty(w.t, w.memos())
	h.release()
	for _, b := range all {
		w.want(done, w.settle(b, tcc.Try))
	}
}

// timeoutCaller: a caller that gives up gets its context's error while the row
// is still held, and the server does not go on waiting for long.
func timeoutCaller(w *world, reason error) {
	it := w.item(w.t, account, "a", 1000)
	all := w.everyKind(it)
	h := w.hold(it)
	ctx, cancel := context.WithCancel(w.ctx)
	if errors.Is(reason, context.DeadlineExceeded) {
		ctx, cancel = context.WithTimeout(w.ctx, time.Second)
	}
	defer cancel()
	var answers []answer
	c := begin(func() answer {
		answers = atOnce(len(all), func(i int) answer { return all[i].b.deliver(ctx, w.Store, all[i].p) })
		return answer{}
	})
	if errors.Is(reason, context.Canceled) {
		w.awaitLockWaits(1)
		cancel()
	}
	c.wait(w.t)
	for i, a := range answers {
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
