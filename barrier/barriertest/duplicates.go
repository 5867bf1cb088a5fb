package barriertest

import (
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// copies is how many deliveries of one phase arrive at once.
const copies = 10

func duplicates() []testCase {
	return []testCase{
		{name: "TryAtOnce", forms: allForms, run: tryAtOnce},
		{name: "RejectedTryAtOnce", forms: allForms, run: rejectedTryAtOnce},
		{name: "ConfirmAtOnce", forms: allForms, run: func(w *world) { phaseAtOnce(w, tcc.Confirm) }},
		{name: "CancelAtOnce", forms: allForms, run: func(w *world) { phaseAtOnce(w, tcc.Cancel) }},
		{name: "EmptyCancelAtOnce", forms: mainForms, run: emptyCancelAtOnce},
		{name: "ConfirmWithoutTryAtOnce", forms: mainForms, run: confirmWithoutTryAtOnce},
	}
}

// everywhere delivers one phase of a branch copies times at once, half of it
// through another process.
func (w *world) everywhere(other Instance, b *branch, p tcc.Phase) []answer {
	return atOnce(copies, func(i int) answer {
		s := w.Store
		if i%2 == 1 {
			s = other.Store
		}
		return b.deliver(w.ctx, s, p)
	})
}

func tryAtOnce(w *world) {
	other := w.replica()
	it := w.item(w.t, account, "a", 1000)
	for range rounds(5, 2) {
		b := w.debit(it, 1)
		answers := w.everywhere(other, b, tcc.Try)
		require.Equal(w.t, map[verdict]int{done: 1, duplicate: copies - 1}, tally(answers), failures(answers))
		for _, a := range answers {
			require.Equal(w.t, b.response, a.res.Response)
		}
	}
}

func rejectedTryAtOnce(w *world) {
	other := w.replica()
	it := w.item(w.t, account, "a", 5)
	for range rounds(5, 2) {
		b := w.debit(it, 6)
		answers := w.everywhere(other, b, tcc.Try)
		require.Equal(w.t, map[verdict]int{rejected: copies}, tally(answers), failures(answers))
		for _, a := range answers {
			require.Equal(w.t, answers[0].rejection(w.t), a.rejection(w.t))
		}
		w.wantState(barrier.Rejected, b)
	}
}

func phaseAtOnce(w *world, p tcc.Phase) {
	other := w.replica()
	it := w.item(w.t, account, "a", 1000)
	for range rounds(5, 2) {
		b := w.debit(it, 1)
		w.want(done, w.deliver(b, tcc.Try))
		answers := w.everywhere(other, b, p)
		require.Equal(w.t, map[verdict]int{done: 1, duplicate: copies - 1}, tally(answers), failures(answers))
	}
}

func emptyCancelAtOnce(w *world) {
	other := w.replica()
	it := w.item(w.t, account, "a", 1000)
	for range rounds(5, 2) {
		b := w.debit(it, 1)
		answers := w.everywhere(other, b, tcc.Cancel)
		require.Equal(w.t, map[verdict]int{emptyCancel: 1, duplicate: copies - 1}, tally(answers), failures(answers))
		w.want(lateTry, w.deliver(b, tcc.Try))
	}
}

func confirmWithoutTryAtOnce(w *world) {
	other := w.replica()
	it := w.item(w.t, account, "a", 1000)
	for range rounds(5, 2) {
		b := w.debit(it, 1)
		answers := w.everywhere(other, b, tcc.Confirm)
		require.Equal(w.t, map[verdict]int{conflict(barrier.None): copies}, tally(answers), failures(answers))
		w.want(done, w.deliver(b, tcc.Try))
	}
}
