package barriertest

import (
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

var (
	allStates = []barrier.State{barrier.None, barrier.Tried, barrier.Confirmed, barrier.Cancelled, barrier.EmptyCancelled, barrier.Rejected}
	allPhases = []tcc.Phase{tcc.Try, tcc.Confirm, tcc.Cancel}
)

func stateTable() []testCase {
	return []testCase{
		{name: "EveryCellTwice", forms: allForms, run: everyCellTwice},
		{name: "NoStatements", run: noStatements},
		{name: "OtherStatementsInEachPhase", forms: mainForms, run: otherStatementsInEachPhase},
	}
}

// everyCellTwice brings a branch into each state, delivers each phase, and
// delivers it again through another process.
func everyCellTwice(w *world) {
	other := w.replica()
	for _, s := range allStates {
		for _, p := range allPhases {
			w.t.Logf("%s arrives at %s", p, s)
			b := w.reach(s)
			a := w.deliver(b, p)
			w.want(expected(s, p), a)
			next := after(s, p)
			w.wantState(next, b)
			if p == tcc.Try && a.err == nil {
				require.Equal(w.t, b.response, a.res.Response)
			}
			again := b.deliver(w.ctx, other.Store, p)
			w.want(expected(next, p), again)
			w.wantState(next, b)
			if p == tcc.Try && again.err == nil {
				require.Equal(w.t, b.response, again.res.Response)
			}
		}
	}
}

// after is the state that a delivery leaves.
func after(s barrier.State, p tcc.Phase) barrier.State {
	_, next := barrier.Decide(s, p)
	return next
}

// expected is the verdict on a delivery to a row in state s when the business
// has no objection.
func expected(s barrier.State, p tcc.Phase) verdict {
	action, _ := barrier.Decide(s, p)
	switch action {
	case barrier.Run:
		return done
	case barrier.Remember:
		return emptyCancel
	case barrier.Replay:
		return duplicate
	case barrier.RefuseLate:
		return lateTry
	case barrier.RefuseAgain:
		return rejected
	default:
		return conflict(s)
	}
}

// reach makes a branch whose row is in state s.
func (w *world) reach(s barrier.State) *branch {
	w.t.Helper()
	it := w.item(w.t, account, "i"+w.newID(), 10)
	b := w.debit(it, 3)
	switch s {
	case barrier.Tried:
		w.want(done, w.deliver(b, tcc.Try))
	case barrier.Confirmed:
		w.want(done, w.deliver(b, tcc.Try))
		w.want(done, w.deliver(b, tcc.Confirm))
	case barrier.Cancelled:
		w.want(done, w.deliver(b, tcc.Try))
		w.want(done, w.deliver(b, tcc.Cancel))
	case barrier.EmptyCancelled:
		w.want(emptyCancel, w.deliver(b, tcc.Cancel))
	case barrier.Rejected:
		b.lines[0].qty = 11
		w.want(rejected, w.deliver(b, tcc.Try))
		b.lines[0].qty = 3 // the refused Try would be possible now
	}
	w.wantState(s, b)
	return b
}

// noStatements: a branch may have nothing to do in a phase; the barrier
// remembers it all the same.
func noStatements(w *world) {
	for _, end := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
		b := w.branch(alone)
		w.want(done, w.deliver(b, tcc.Try))
		w.want(duplicate, w.deliver(b, tcc.Try))
		w.want(done, w.deliver(b, end))
		w.want(duplicate, w.deliver(b, end))
		w.wantState(after(barrier.Tried, end), b)
	}
}

// otherStatementsInEachPhase: what a Try did by three statements a Cancel may
// undo by one; the barrier counts deliveries, not statements.
func otherStatementsInEachPhase(w *world) {
	it := w.item(w.t, account, "a", 10)
	for _, end := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
		b := w.branch(w.form, line{it, 1}, line{it, 1}, line{it, 1})
		w.want(done, w.deliver(b, tcc.Try))
		b.lines = []line{{it, 3}}
		w.want(done, w.deliver(b, end))
		w.want(duplicate, w.deliver(b, end))
		w.want(expected(after(barrier.Tried, end), tcc.Try), w.deliver(b, tcc.Try))
	}
}
