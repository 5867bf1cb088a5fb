package barriertest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func deadlocks() []testCase {
	return []testCase{
		{name: "RunsAgain", needs: rowLocks, run: func(w *world) {
			deadlock(w, func(_ context.Context, _ barrier.Tx, err error) error { return err })
		}},
		{name: "WorkTakesItForARejection", needs: rowLocks, run: func(w *world) {
			deadlock(w, func(context.Context, barrier.Tx, error) error { return tcc.Reject("BUSY", "", nil) })
		}},
		{name: "WorkGoesOn", needs: rowLocks, run: func(w *world) {
			// The server has ended the transaction: what follows would commit
			// by itself.
			deadlock(w, func(ctx context.Context, tx barrier.Tx, _ error) error {
				_, _ = tx.ExecContext(ctx, write)
				tx.Queue(barrier.Stmt{Query: write, Rows: 1})
				return nil
			})
		}},
		{name: "SortedStatementsDoNotDeadlock", run: deadlockSorted},
		{name: "AdjacentBranches", run: deadlockAdjacent},
	}
}

// meeting lets two parties wait for each other, once.
type meeting struct {
	both sync.WaitGroup
	once [2]sync.Once
}

func newMeeting() *meeting {
	m := new(meeting)
	m.both.Add(2)
	return m
}

// attend returns when the other party is there too; at a party's later visits
// at once.
func (m *meeting) attend(party int) {
	m.once[party].Do(func() {
		m.both.Done()
		met := make(chan struct{})
		go func() {
			m.both.Wait()
			close(met)
		}()
		select {
		case <-met:
		case <-time.After(patience): // the case fails by what it then sees
		}
	})
}

// deadlock makes two branches lock two rows in opposite order: each has its
// first row when both ask for their second, so that one of them must be
// thrown out. onError is what its work makes of that. Both come out right.
func deadlock(w *world, onError func(ctx context.Context, tx barrier.Tx, err error) error) {
	other := w.replica()
	a, c := w.item(w.t, account, "a", 1000), w.item(w.t, account, "c", 1000)
	for _, p := range allPhases {
		branches := []*branch{w.branch(direct, line{a, 1}, line{c, 1}), w.branch(direct, line{c, 1}, line{a, 1})}
		if p != tcc.Try {
			for _, b := range branches {
				w.want(done, w.deliver(b, tcc.Try))
			}
		}
		m := newMeeting()
		var committed atomic.Int32
		answers := atOnce(2, func(i int) answer {
			b := branches[i]
			return b.deliverWork(w.ctx, []barrier.Store{w.Store, other.Store}[i], p, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				tx.AfterCommit(func() { committed.Add(1) })
				e := b.entry(p)
				if _, err := tx.ExecContext(ctx, e.Query, e.Args...); err != nil {
					return nil, err
				}
				for j, l := range b.lines {
					if j == 1 {
						m.attend(i)
					}
					query, args := l.move(p)
					if _, err := tx.ExecContext(ctx, query, args...); err != nil {
						return nil, onError(ctx, tx, err)
					}
				}
				return b.answerTo(p), nil
			})
		})
		require.Equal(w.t, map[verdict]int{done: 2}, tally(answers), failures(answers))
		require.Greater(w.t, branches[0].ran(p)+branches[1].ran(p), 2, "one of them must have run again")
		require.Equal(w.t, int32(2), committed.Load(), "AfterCommit runs once for each commit")
		require.Empty(w.t, w.memos(), "what the work did after the deadlock")
	}
}

// deadlockSorted: branches that queue the same rows in another order, with
// keys, never even have to run again.
func deadlockSorted(w *world) {
	a, c := w.item(w.t, account, "a", 100_000), w.item(w.t, account, "c", 100_000)
	for range rounds(200, 50) {
		branches := []*branch{w.branch(queued, line{a, 1}, line{c, 1}), w.branch(queued, line{c, 1}, line{a, 1}), w.branch(alone, line{c, 1}, line{a, 1})}
		for _, p := range []tcc.Phase{tcc.Try, tcc.Confirm} {
			answers := atOnce(len(branches), func(i int) answer { return w.deliver(branches[i], p) })
			require.Equal(w.t, map[verdict]int{done: len(branches)}, tally(answers), failures(answers))
			if w.dialect.rowLocks() {
				for _, b := range branches {
					require.Equal(w.t, 1, b.ran(p), "%s had to run again", p)
				}
			}
		}
	}
}

// deadlockAdjacent: neighbours in the primary key do not get into each
// other's way, in any phase, present or absent.
func deadlockAdjacent(w *world) {
	const neighbours = 16
	var items []item
	for range neighbours {
		items = append(items, w.item(w.t, account, "i"+w.newID(), 1000))
	}
	for range rounds(12, 3) {
		var branches []*branch
		for i := range neighbours {
			branches = append(branches, w.branch(allForms[i%len(allForms)], line{items[i], 1}))
		}
		// Each neighbour takes another path through the phases.
		paths := [][]tcc.Phase{
			{tcc.Try, tcc.Confirm, tcc.Confirm}, {tcc.Try, tcc.Cancel, tcc.Try}, {tcc.Cancel, tcc.Try, tcc.Cancel}, {tcc.Confirm, tcc.Try, tcc.Confirm}, {tcc.Try, tcc.Try, tcc.Cancel},
		}
		states := make([]barrier.State, neighbours)
		for step := range 3 {
			answers := atOnce(neighbours, func(i int) answer { return w.deliver(branches[i], paths[i%len(paths)][step]) })
			for i, a := range answers {
				p := paths[i%len(paths)][step]
				w.want(expected(states[i], p), a)
				states[i] = after(states[i], p)
			}
		}
	}
}
