package barriertest

import (
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func races() []testCase {
	return []testCase{
		{name: "TryAgainstCancel", run: raceTryAgainstCancel},
		{name: "TryAgainstConfirm", run: raceTryAgainstConfirm},
		{name: "ConfirmAgainstCancel", run: raceConfirmAgainstCancel},
		{name: "AllPhasesAtOnce", run: raceAllPhases},
		{name: "SoldOut", forms: allForms, run: raceSoldOut},
	}
}

// contest is what two deliveries of one branch may be answered, and the state
// that they leave then.
type contest struct {
	first, second verdict
	state         barrier.State
}

// race delivers two phases of each of n branches at once, in two processes,
// and checks that the two answers agree with each other and with the row.
func (w *world) race(n int, from barrier.State, first, second tcc.Phase, allowed ...contest) {
	w.t.Helper()
	const width = 8
	other := w.replica()
	it := w.item(w.t, account, "a", int64(n))
	seen := make(map[contest]int)
	for at := 0; at < n; at += width {
		var branches []*branch
		for i := range min(width, n-at) {
			b := w.branch(allForms[(at+i)%len(allForms)], line{it, 1})
			if from == barrier.Tried {
				w.want(done, w.deliver(b, tcc.Try))
			}
			branches = append(branches, b)
		}
		answers := atOnce(2*len(branches), func(i int) answer {
			// The two of a pair start in turns.
			b := branches[i/2]
			if (i+at/width)%2 == 0 {
				return b.deliver(w.ctx, w.Store, first)
			}
			return b.deliver(w.ctx, other.Store, second)
		})
		states := w.states(w.t)
		for i, b := range branches {
			x, y := answers[2*i], answers[2*i+1]
			if (at/width)%2 == 1 {
				x, y = y, x
			}
			got := contest{x.verdict(), y.verdict(), states[branchKey{b.gid, b.id}]}
			require.Contains(w.t, allowed, got, "%s: %v; %v", b.form, x.err, y.err)
			seen[got]++
		}
	}
	w.t.Logf("%s against %s: %v", first, second, seen)
}

func raceTryAgainstCancel(w *world) {
	w.race(rounds(1000, 200), barrier.None, tcc.Try, tcc.Cancel,
		contest{done, done, barrier.Cancelled},
		contest{lateTry, emptyCancel, barrier.EmptyCancelled},
	)
}

func raceTryAgainstConfirm(w *world) {
	w.race(rounds(200, 40), barrier.None, tcc.Try, tcc.Confirm,
		contest{done, done, barrier.Confirmed},
		contest{done, conflict(barrier.None), barrier.Tried},
	)
}

func raceConfirmAgainstCancel(w *world) {
	w.race(rounds(200, 40), barrier.Tried, tcc.Confirm, tcc.Cancel,
		contest{done, conflict(barrier.Confirmed), barrier.Confirmed},
		contest{conflict(barrier.Cancelled), done, barrier.Cancelled},
	)
}

// raceAllPhases: whatever arrives together, some order of it explains all
// answers.
func raceAllPhases(w *world) {
	other := w.replica()
	it := w.item(w.t, account, "a", 1000)
	for i := range rounds(50, 10) {
		b := w.branch(allForms[i%len(allForms)], line{it, 1})
		phases := []tcc.Phase{tcc.Try, tcc.Cancel, tcc.Confirm, tcc.Try, tcc.Cancel, tcc.Confirm}
		answers := atOnce(len(phases), func(i int) answer {
			return b.deliver(w.ctx, []barrier.Store{w.Store, other.Store}[i%2], phases[i])
		})
		m := newModel(b)
		var ds []delivery
		for _, p := range phases {
			ds = append(ds, delivery{branch: 0, phase: p})
		}
		require.NotEmpty(w.t, m.explain(ds, answers), "no order explains %v of %v: %s", verdicts(answers), phases, failures(answers))
	}
}

func verdicts(answers []answer) []verdict {
	var out []verdict
	for _, a := range answers {
		out = append(out, a.verdict())
	}
	return out
}

// raceSoldOut: many want the last ones.
func raceSoldOut(w *world) {
	const left, clients, each = 20, 16, 4
	other := w.replica()
	it := w.item(w.t, stock, "sku", left)
	branches := make([]*branch, clients*each)
	for i := range branches {
		branches[i] = w.debit(it, 1)
	}
	answers := make([]answer, len(branches))
	atOnce(clients, func(i int) answer {
		for j := range each {
			answers[i*each+j] = branches[i*each+j].deliver(w.ctx, []barrier.Store{w.Store, other.Store}[i%2], tcc.Try)
		}
		return answer{}
	})
	require.Equal(w.t, map[verdict]int{done: left, rejected: len(branches) - left}, tally(answers), failures(answers))
	require.Equal(w.t, row{held: left}, w.row(w.t, it))
}
