package barriertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func afterCommit() []testCase {
	return []testCase{
		{name: "OncePerCommit", forms: allForms, run: afterCommitOnce},
		{name: "NotOtherwise", forms: allForms, run: afterCommitNotOtherwise},
		{name: "Panic", forms: mainForms, run: afterCommitPanic},
		{name: "MayDeliver", forms: mainForms, run: afterCommitMayDeliver},
	}
}

// afterCommitOnce: it runs when the commit is there for everybody to see, in
// the order of registration.
func afterCommitOnce(w *world) {
	it := w.item(w.t, account, "a", 10)
	for _, end := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
		b := w.debit(it, 1)
		for _, p := range []tcc.Phase{tcc.Try, end} {
			var order []int
			var seen barrier.State
			work := b.before(p, func(_ context.Context, tx barrier.Tx) error {
				tx.AfterCommit(func() { order, seen = append(order, 1), w.state(w.t, b) })
				tx.AfterCommit(func() { order = append(order, 2) })
				return nil
			})
			w.want(done, w.deliverWork(b, p, work))
			require.Equal(w.t, []int{1, 2}, order)
			require.Equal(w.t, after(beforePhase(p), p).String(), seen.String(), "what others see when AfterCommit runs")
			w.want(duplicate, w.deliverWork(b, p, work))
			require.Equal(w.t, []int{1, 2}, order, "a duplicate commits nothing")
		}
	}
}

func afterCommitNotOtherwise(w *world) {
	it := w.item(w.t, account, "a", 10)
	var ran atomic.Int32
	with := func(b *branch, p tcc.Phase, end error) barrier.Work {
		return b.before(p, func(ctx context.Context, tx barrier.Tx) error {
			tx.AfterCommit(func() { ran.Add(1) })
			if end != nil {
				if _, err := b.work(p)(ctx, tx); err != nil {
					return err
				}
			}
			return end
		})
	}
	b := w.debit(it, 11)
	w.want(rejected, w.deliverWork(b, tcc.Try, with(b, tcc.Try, nil)))
	w.want(rejected, w.deliverWork(b, tcc.Try, with(b, tcc.Try, nil)))
	w.want(duplicate, w.deliverWork(b, tcc.Cancel, with(b, tcc.Cancel, nil)))
	w.want(conflict(barrier.Rejected), w.deliverWork(b, tcc.Confirm, with(b, tcc.Confirm, nil)))
	b = w.debit(it, 1)
	w.want(rejected, w.deliverWork(b, tcc.Try, with(b, tcc.Try, tcc.Reject("NO", "", nil))))
	b = w.debit(it, 1)
	w.want(internal, w.deliverWork(b, tcc.Try, with(b, tcc.Try, errors.New("a bug"))))
	w.want(pending, w.deliverWork(b, tcc.Try, with(b, tcc.Try, tcc.Pending("later"))))
	w.want(emptyCancel, w.deliverWork(b, tcc.Cancel, with(b, tcc.Cancel, nil)))
	w.want(lateTry, w.deliverWork(b, tcc.Try, with(b, tcc.Try, nil)))
	require.Zero(w.t, ran.Load(), "AfterCommit ran without a commit of the business")
}

// afterCommitPanic: the commit stands, and the connection was given back.
func afterCommitPanic(w *world) {
	b := w.debit(w.item(w.t, account, "a", 10), 1)
	c := begin(func() (a answer) {
		defer func() {
			if v := recover(); v != nil {
				a = answer{err: fmt.Errorf("panic: %v", v)}
			}
		}()
		return w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
			tx.AfterCommit(func() { panic("AfterCommit panics") })
			return nil
		}))
	})
	c.wait(w.t)
	w.wantState(barrier.Tried, b)
	w.want(duplicate, w.deliver(b, tcc.Try))
}

// afterCommitMayDeliver: the branch is over when it runs, and keeps nothing
// that the next one needs: not the only connection, not the only writer.
func afterCommitMayDeliver(w *world) {
	w.Pool.SetMaxOpenConns(1)
	it := w.item(w.t, account, "a", 10)
	b, next := w.debit(it, 1), w.debit(it, 1)
	var a answer
	w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
		tx.AfterCommit(func() {
			ctx, cancel := context.WithTimeout(w.ctx, patience/4)
			defer cancel()
			a = next.deliver(ctx, w.Store, tcc.Try)
		})
		return nil
	})))
	w.want(done, a)
}
