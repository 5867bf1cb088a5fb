package barriertest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func waiting() []testCase {
	return []testCase{
		{name: "ForTryThatWaitsForARow", forms: allForms, needs: rowLocks, run: waitForHeldTry},
		{name: "ForTryWhoseWorkIsSlow", forms: openForms, run: waitForSlowTry},
	}
}

// ending is how a Try ends that others wait for.
type ending string

const (
	commits ending = "commits"
	rejects ending = "is rejected"
	fails   ending = "fails"
)

// afterWaiting is what the deliveries of a phase get that waited for a Try.
func afterWaiting(e ending, p tcc.Phase) (map[verdict]int, barrier.State) {
	state := map[ending]barrier.State{commits: barrier.Tried, rejects: barrier.Rejected, fails: barrier.None}[e]
	next := after(state, p)
	want := map[verdict]int{expected(state, p): 1}
	want[expected(next, p)] += copies - 1
	return want, next
}

// eachWait runs f for each ending of a Try and each phase that waits for it.
func (w *world) eachWait(f func(e ending, p tcc.Phase, it item, b *branch)) {
	w.t.Helper()
	for _, e := range []ending{commits, rejects, fails} {
		for _, p := range allPhases {
			w.t.Logf("%s waits for a try that %s", p, e)
			it := w.item(w.t, account, "i"+w.newID(), 10)
			f(e, p, it, w.debit(it, 5))
		}
	}
}

// waiters delivers a phase copies times at once, through two processes, while
// the branch's Try is open, and waits until the database shows that all of
// them wait beside those that do already. It returns how to get the answers.
func (w *world) waiters(other Instance, b *branch, p tcc.Phase, already int) func() []answer {
	w.t.Helper()
	var answers []answer
	all := begin(func() answer {
		answers = w.everywhere(other, b, p)
		return answer{}
	})
	w.awaitLockWaits(already + copies)
	require.False(w.t, all.returned(), "answered before the try was")
	w.wantState(barrier.None, b) // the Try is not committed
	return func() []answer {
		all.wait(w.t)
		return answers
	}
}

// wantAfterWaiting checks the answers of those who waited.
func (w *world) wantAfterWaiting(e ending, p tcc.Phase, b *branch, try answer, answers []answer) {
	w.t.Helper()
	want, state := afterWaiting(e, p)
	switch e {
	case commits:
		w.want(done, try)
	case rejects:
		w.want(rejected, try)
	case fails:
		// Unless it finds that the branch is settled meanwhile.
		require.Contains(w.t, []verdict{internal, expected(state, tcc.Try)}, try.verdict(), "%v", try.err)
	}
	require.Equal(w.t, want, tally(answers), failures(answers))
	w.wantState(state, b)
	for _, a := range answers {
		switch v := a.verdict(); {
		case v == rejected:
			require.Equal(w.t, try.rejection(w.t), a.rejection(w.t))
		case v == duplicate && p == tcc.Try:
			require.Equal(w.t, b.response, a.res.Response)
		}
	}
}

// waitForHeldTry: a row that the Try needs is locked from outside, and the
// Try waits for it with its barrier row written. What arrives then waits for
// the Try and takes the branch that its ending makes right.
func waitForHeldTry(w *world) {
	other := w.replica()
	w.eachWait(func(e ending, p tcc.Phase, it item, b *branch) {
		work := b.work(tcc.Try)
		if e == fails {
			work = b.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
				tx.Queue(barrier.Stmt{Query: "UPDATE account SET available = -1 WHERE id = ?", Args: []any{it.id}, Rows: 1})
				return nil
			})
		}
		h := w.hold(it)
		try := begin(func() answer { return w.deliverWork(b, tcc.Try, work) })
		w.awaitLockWaits(1)
		all := w.waiters(other, b, p, 1)
		if e == rejects {
			h.refillAndRelease(it, -10)
		} else {
			h.release()
		}
		w.wantAfterWaiting(e, p, b, try.wait(w.t), all())
	})
}

// waitForSlowTry: the Try's work function takes its time, with its
// transaction open.
func waitForSlowTry(w *world) {
	other := w.replica()
	w.eachWait(func(e ending, p tcc.Phase, _ item, b *branch) {
		inside, leave := make(chan struct{}), make(chan struct{})
		try := begin(func() answer {
			return w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
				var one int
				if err := tx.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
					return err
				}
				close(inside)
				<-leave
				return map[ending]error{rejects: tcc.Reject("SLOW", "", nil), fails: errors.New("a bug")}[e]
			}))
		})
		w.await("the try's work", inside)
		open, _, err := w.dialect.transactions(w.ctx, w.db)
		require.NoError(w.t, err)
		require.Equal(w.t, 1, open, "the try's transaction")
		all := w.waiters(other, b, p, 0)
		close(leave)
		w.wantAfterWaiting(e, p, b, try.wait(w.t), all())
	})
}
