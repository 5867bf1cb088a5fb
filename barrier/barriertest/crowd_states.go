package barriertest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func crowdStates() []testCase {
	return []testCase{
		{name: "EveryCell", forms: queueingForms, run: crowdEveryCell},
		{name: "CancelsForSoldOut", run: crowdCancelsForSoldOut},
		{name: "OneBranchTwice", run: crowdOneBranchTwice},
		{name: "TwoProcesses", run: crowdTwoProcesses},
		{name: "BesideTransactionsOfTheirOwn", run: crowdMixedForms},
		{name: "BranchesOfOneTransaction", run: crowdOneGID},
		{name: "WithoutStatements", run: crowdWithoutStatements},
		{name: "LongRequests", run: crowdLongRequests},
		{name: "LongArguments", run: crowdLongArguments},
		{name: "AfterCommit", run: crowdAfterCommit},
	}
}

// crowdEveryCell: each phase arrives at each state, all in one crowd, beside
// branches that just go on. The business would have no objection to any of them:
// another branch holds as much of the same item.
func crowdEveryCell(w *world) {
	var special []member
	for _, s := range allStates {
		for _, p := range allPhases {
			for range 3 {
				special = append(special, member{b: w.reach(s), p: p, want: expected(s, p)})
			}
		}
	}
	before := make(map[*branch]barrier.State)
	var others []*branch
	for _, m := range special {
		before[m.b] = w.state(w.t, m.b)
		others = append(others, w.debit(m.b.lines[0].item, m.b.lines[0].qty))
	}
	w.tried(others...)
	w.together(w.among(special...))
	for _, m := range special {
		w.wantState(after(before[m.b], m.p), m.b)
	}
	w.again(special)
}

// crowdCancelsForSoldOut: every order that is sold out sends Cancels to
// branches that were rejected or never tried, beside those that must be undone.
func crowdCancelsForSoldOut(w *world) {
	states := []barrier.State{barrier.Tried, barrier.Rejected, barrier.None}
	w.form = queued
	var members []member
	for i := range crowdSize {
		s := states[i%len(states)]
		members = append(members, member{b: w.reach(s), p: tcc.Cancel, want: expected(s, tcc.Cancel)})
	}
	w.together(members)
	for i, m := range members {
		w.wantState(after(states[i%len(states)], tcc.Cancel), m.b)
	}
	w.again(members)
}

// crowdOneBranchTwice: one delivery comes several times, or the phases of one
// branch come together. Some order of them explains the answers.
func crowdOneBranchTwice(w *world) {
	it := w.item(w.t, account, "a", 1000)
	for n, phases := range [][]tcc.Phase{
		{tcc.Try, tcc.Try},
		{tcc.Try, tcc.Try, tcc.Try, tcc.Try},
		{tcc.Try, tcc.Cancel},
		{tcc.Cancel, tcc.Try},
		{tcc.Try, tcc.Confirm, tcc.Try},
		{tcc.Cancel, tcc.Cancel},
		{tcc.Try, tcc.Cancel, tcc.Confirm, tcc.Try, tcc.Cancel},
	} {
		b := w.branch(queueingForms[n%2], line{it, 1})
		var ds []delivery
		var special []member
		for _, p := range phases {
			ds = append(ds, delivery{phase: p})
			special = append(special, member{b: b, p: p})
		}
		all := w.among(special...)
		var own []answer
		for i, a := range w.together(all) {
			if all[i].b == b {
				own = append(own, a)
			}
		}
		require.NotEmpty(w.t, newModel(b).explain(ds, own), "no order explains %v of %v: %s", verdicts(own), phases, failures(own))
	}
}

// crowdTwoProcesses: every delivery comes to two processes at once.
func crowdTwoProcesses(w *world) {
	other := w.replica()
	for _, p := range allPhases {
		var members []member
		var branches []*branch
		for i, it := range w.items(account, crowdSize/2, 5) {
			b := w.branch(queueingForms[i%2], line{it, 1})
			branches = append(branches, b)
			members = append(members, member{b: b, p: p}, member{b: b, p: p, store: other.Store})
		}
		if p != tcc.Try {
			w.tried(branches...)
		}
		answers := w.together(members)
		require.Equal(w.t, map[verdict]int{done: len(branches), duplicate: len(branches)}, tally(answers), failures(answers))
		for i, m := range members {
			w.wantContent(m, answers[i])
		}
	}
}

// crowdMixedForms: branches that only queue run beside such as hold their
// transaction open, on the same rows.
func crowdMixedForms(w *world) {
	hot := w.items(account, 4, 10_000)
	for _, p := range allPhases {
		var members []member
		var branches []*branch
		for i := range crowdSize {
			b := w.branch(allForms[i%len(allForms)], line{hot[i/4%len(hot)], 1})
			branches = append(branches, b)
			members = append(members, member{b: b, p: p, want: done})
		}
		if p != tcc.Try {
			w.tried(branches...)
		}
		w.together(members)
		w.again(members)
	}
}

// crowdOneGID: many branches of one global transaction; gids and branch ids
// differ only in the case of a letter or in their length.
func crowdOneGID(w *world) {
	it := w.item(w.t, account, "a", 1000)
	gid := w.prefix + "-" + w.newID() + "-x"
	for _, p := range allPhases {
		var members []member
		var branches []*branch
		for i := range crowdSize {
			b := w.branch(queued, line{it, 1})
			b.gid, b.id = fmt.Sprint(gid, p), fmt.Sprint(i/4)
			if i%4 >= 2 {
				b.gid = strings.ToUpper(b.gid[len(w.prefix):])
				b.gid = w.prefix + b.gid
			}
			if i%2 == 1 {
				b.id += "a"
			}
			b.request, b.response = []byte("request of "+b.String()), []byte("response to "+b.String())
			branches = append(branches, b)
			members = append(members, member{b: b, p: p, want: done})
		}
		if p != tcc.Try {
			w.tried(branches...)
		}
		w.together(members)
		w.again(members)
	}
}

// crowdWithoutStatements: branches that have nothing to do in a phase.
func crowdWithoutStatements(w *world) {
	for _, p := range allPhases {
		var special []member
		var branches []*branch
		for range crowdSize / 2 {
			b := w.branch(alone)
			branches = append(branches, b)
			special = append(special, member{b: b, p: p, want: done})
		}
		if p != tcc.Try {
			w.tried(branches...)
		}
		w.together(w.among(special...))
		w.again(special)
	}
}

// crowdLongRequests: together they are longer than what a server takes as one
// statement (16 MiB by default on MariaDB), and hold any byte.
func crowdLongRequests(w *world) {
	var members []member
	for i, it := range w.items(account, 2*crowdSize, 5) {
		b := w.branch(queueingForms[i%2], line{it, 1})
		b.request = everyByte(barrier.MaxRequestLen)
		b.response = append(everyByte(barrier.MaxResponseLen-len(b.gid)), b.gid...)
		members = append(members, member{b: b, p: tcc.Try, want: done})
	}
	w.together(members)
	w.again(members)
}

// crowdLongArguments: the same with what the business writes.
func crowdLongArguments(w *world) {
	body := everyByte(300_000)
	var members []member
	for range crowdSize {
		b := w.branch(alone)
		members = append(members, member{b: b, p: tcc.Try, want: done, work: func(_ context.Context, tx barrier.Tx) ([]byte, error) {
			tx.Queue(barrier.Stmt{Query: "INSERT INTO memo (id, body) VALUES (?, ?)", Args: []any{b.gid, body}, Key: b.gid, Rows: 1})
			return b.response, nil
		}})
	}
	w.together(members)
	require.Len(w.t, w.memos(), len(members))
	require.Equal(w.t, body, *w.memo(members[0].b.gid))
	w.outside("DELETE FROM memo")
}

// crowdAfterCommit: it runs once for each branch that was committed, after the
// commit, and for no other.
func crowdAfterCommit(w *world) {
	var special []member
	runs := make([]atomic.Int32, crowdSize/2)
	for i, it := range w.items(account, len(runs), 5) {
		b := w.branch(queueingForms[i%2], line{it, 1})
		want := done
		if i%4 == 0 {
			b.lines[0].qty, want = w.funds[it]+1, rejected
		}
		special = append(special, member{b: b, p: tcc.Try, want: want, work: b.before(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
			tx.AfterCommit(func() {
				runs[i].Add(1)
				if s := w.state(w.t, b); s != barrier.Tried {
					w.t.Errorf("AfterCommit of %s runs when others see it in state %s", b, s)
				}
			})
			return nil
		})})
	}
	w.together(w.among(special...))
	for i, m := range special {
		want := int32(1)
		if m.want == rejected {
			want = 0
		}
		require.Equal(w.t, want, runs[i].Load(), "runs of AfterCommit of %s, which was %s", m.b, m.want)
	}
}
