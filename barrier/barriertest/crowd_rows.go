package barriertest

import (
	"context"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func crowdRows() []testCase {
	return []testCase{
		{name: "LastOnes", forms: queueingForms, run: crowdLastOnes},
		{name: "FewRowsInAnyOrder", run: crowdFewRows},
		{name: "OrderWithoutKeys", run: crowdOrderWithoutKeys},
		{name: "Lifecycles", run: crowdLifecycles},
		{name: "TryHeldElsewhere", needs: rowLocks, run: crowdTryHeldElsewhere},
		{name: "RowHeldElsewhere", needs: rowLocks, run: crowdRowHeldElsewhere},
	}
}

// crowdLastOnes: all of a crowd want a row of which there is enough for some,
// and not one of them more or less gets it.
func crowdLastOnes(w *world) {
	const left = 20
	it := w.item(w.t, stock, "sku", left)
	for _, qty := range []int64{1, 3} {
		var members []member
		for range crowdSize {
			members = append(members, member{b: w.branch(w.form, line{it, qty}), p: tcc.Try})
		}
		answers := w.together(members)
		n := left / int(qty)
		require.Equal(w.t, map[verdict]int{done: n, rejected: crowdSize - n}, tally(answers), failures(answers))
		// Who got some gives it back, so that the next find what the first found.
		var back []member
		for i, a := range answers {
			if a.err == nil {
				back = append(back, member{b: members[i].b, p: tcc.Cancel, want: done})
				continue
			}
			require.Equal(w.t, it.String(), a.rejection(w.t).Metadata["item"])
		}
		w.together(back)
		require.Equal(w.t, row{available: left}, w.row(w.t, it))
	}
}

// crowdFewRows: in two processes, branches move the same few rows in any
// order; with keys nobody has to wait for ever.
func crowdFewRows(w *world) {
	other := w.replica()
	for _, rows := range []int{2, 10} {
		hot := w.items(account, rows, 100_000)
		cold := w.items(stock, rows, 100_000)
		var members []member
		for i := range crowdSize {
			a, b := hot[i%rows], hot[(i*7+3)%rows]
			lines := []line{{a, 1}, {cold[(i*3)%rows], 1}, {b, 1}}
			if i%2 == 1 {
				lines[0], lines[2] = lines[2], lines[0]
			}
			m := member{b: w.branch(queueingForms[i/2%2], lines...), want: done}
			if i%4 >= 2 {
				m.store = other.Store
			}
			members = append(members, m)
		}
		for _, p := range []tcc.Phase{tcc.Try, tcc.Confirm} {
			for i := range members {
				members[i].p = p
				if p == tcc.Confirm && i%5 == 0 {
					members[i].p = tcc.Cancel
				}
			}
			w.together(members)
		}
		w.again(members)
	}
}

// crowdOrderWithoutKeys: branches that leave out keys, because one statement
// needs another's result, keep their order beside branches that have keys.
func crowdOrderWithoutKeys(w *world) {
	var special []member
	var want []string
	for i := range crowdSize / 2 {
		b := w.branch(alone)
		a, z := fmt.Sprintf("%03d-a", i), fmt.Sprintf("%03d-z", i)
		want = append(want, a)
		special = append(special, member{b: b, p: tcc.Try, want: done, work: func(_ context.Context, tx barrier.Tx) ([]byte, error) {
			tx.Queue(barrier.Stmt{Query: "INSERT INTO memo (id) VALUES (?)", Args: []any{z}, Rows: 1})
			tx.Queue(barrier.Stmt{Query: "UPDATE memo SET id = ? WHERE id = ?", Args: []any{a, z}, Rows: 1})
			tx.Queue(barrier.Stmt{Query: "INSERT INTO memo (id) VALUES (?)", Args: []any{z}, Key: z, Rows: 1})
			tx.Queue(barrier.Stmt{Query: "DELETE FROM memo WHERE id = ?", Args: []any{z}, Rows: 1})
			return b.response, nil
		}})
	}
	w.together(w.among(special...))
	require.Equal(w.t, want, w.memos())
}

// crowdLifecycles: whole branches, Try and then Confirm or Cancel, without a
// pause, some on one row and some on their own.
func crowdLifecycles(w *world) {
	hot := w.item(w.t, account, "hot", 100_000)
	own := w.items(account, crowdSize, 10)
	answers := atOnce(crowdSize, func(i int) answer {
		for n := range rounds(5, 2) {
			it := hot
			if i%2 == 0 {
				it = own[i]
			}
			b := w.branch(queueingForms[n%2], line{it, 1})
			end := tcc.Confirm
			if (i+n)%5 == 0 {
				end = tcc.Cancel
			}
			for _, p := range []tcc.Phase{tcc.Try, end} {
				if a := w.deliver(b, p); a.verdict() != done {
					return a
				}
			}
		}
		return answer{res: barrier.Result{Outcome: tcc.Done}}
	})
	require.Equal(w.t, map[verdict]int{done: crowdSize}, tally(answers), failures(answers))
}

// heldRow is a barrier row that another transaction has written and keeps
// open, as a Try does whose process hangs.
func (w *world) heldRow(b *branch) (release func()) {
	w.t.Helper()
	tx, err := w.db.BeginTx(w.ctx, nil)
	require.NoError(w.t, err)
	_, err = tx.ExecContext(w.ctx, "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES (?, ?, 1, UTC_TIMESTAMP(3))", b.gid, b.id)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = tx.Rollback() })
	return func() { require.NoError(w.t, tx.Rollback()) }
}

// crowdTryHeldElsewhere: the coordinator delivers a branch again and again
// whose Try is held open elsewhere. Everybody else is answered meanwhile.
func crowdTryHeldElsewhere(w *world) {
	it := w.item(w.t, account, "a", 10)
	b := w.branch(queued, line{it, 1})
	release := w.heldRow(b)
	stop := make(chan struct{})
	var repeated []*call
	for _, p := range []tcc.Phase{tcc.Try, tcc.Try, tcc.Cancel} {
		repeated = append(repeated, begin(func() answer { return w.repeat(b, p, stop) }))
	}
	w.awaitLockWaits(1)
	crowdLifecycles(w)
	for _, c := range repeated {
		require.False(w.t, c.returned(), "a delivery of the held branch was answered")
	}
	w.wantState(barrier.None, b)
	close(stop)
	release()
	for _, c := range repeated {
		c.wait(w.t)
	}
	ds := []delivery{{phase: tcc.Try}, {phase: tcc.Try}, {phase: tcc.Cancel}}
	answers := []answer{repeated[0].a, repeated[1].a, repeated[2].a}
	require.NotEmpty(w.t, newModel(b).explain(ds, answers), "no order explains %v: %s", verdicts(answers), failures(answers))
}

// repeat delivers until the answer is another than unavailable, as a
// coordinator does, and a last few times after stop.
func (w *world) repeat(b *branch, p tcc.Phase, stop <-chan struct{}) answer {
	for last := 0; ; {
		a := w.deliver(b, p)
		if a.verdict() != unavailable || last == 20 {
			return a
		}
		select {
		case <-stop:
			last++
		default:
		}
	}
}

// crowdRowHeldElsewhere: some branches of a crowd need a business row that is
// locked for long. They alone wait.
func crowdRowHeldElsewhere(w *world) {
	it := w.item(w.t, stock, "held", 100)
	h := w.hold(it)
	var special []member
	for i := range 3 {
		b := w.branch(queueingForms[i%2], line{it, 1})
		special = append(special, member{b: b, p: tcc.Try})
	}
	all := w.among(special...)
	c := w.gather(all)
	c.release()
	w.eventuallyReturned(c, func(m member) bool { return m.want == done })
	crowdLifecycles(w)
	h.release()
	answers := c.answers()
	for i, m := range all {
		if m.want != "" {
			continue
		}
		require.Contains(w.t, []verdict{done, unavailable}, answers[i].verdict(), "%v", answers[i].err)
		require.Contains(w.t, []verdict{done, duplicate}, w.settle(m.b, tcc.Try).verdict())
		w.wantState(barrier.Tried, m.b)
	}
}
