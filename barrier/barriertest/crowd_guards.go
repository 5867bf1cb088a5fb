package barriertest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func crowdGuards() []testCase {
	var cases []testCase
	for _, percent := range []int{0, 10, 50, 90} {
		for _, statements := range []int{1, 3} {
			cases = append(cases, testCase{
				name: fmt.Sprintf("%dPercentFailWith%dStatements", percent, statements),
				run:  func(w *world) { crowdGuardsFail(w, percent, statements) },
			})
		}
	}
	return append(cases,
		testCase{name: "OneViolatesAConstraint", run: crowdConstraint},
		testCase{name: "OneMovesMoreRowsThanDeclared", run: crowdTooManyRows},
		testCase{name: "FailedGuardInConfirmAndCancel", run: crowdGuardAfterTry},
		testCase{name: "OtherwiseThatFails", run: crowdOtherwiseFails},
		testCase{name: "OtherwiseThatHangs", needs: rowLocks, run: crowdOtherwiseHangs},
		testCase{name: "WorkThatFails", run: crowdWorkFails},
		testCase{name: "ArgumentThatFails", run: crowdArgumentFails},
	)
}

// crowdGuardsFail: a batch of all phases, in which percent of the Trys' guards
// fail. Half of what succeeds meets on one row. Each caller gets its own right
// answer: the item that it is rejected for, and what is left of that one, are
// no neighbour's.
func crowdGuardsFail(w *world, percent, statements int) {
	const trys = crowdSize / 2
	hot := w.item(w.t, account, "hot", 1000)
	var members []member
	var before []*branch
	more := w.items(stock, crowdSize, 9)
	for i, it := range w.items(account, crowdSize, 10) {
		lines := []line{{it, 3}}
		if i%2 == 0 {
			lines = []line{{hot, 1}}
		}
		fails := i < trys && i*percent/100 != (i+1)*percent/100
		if fails {
			lines = []line{{it, w.funds[it] + 1}}
		}
		f := alone
		if statements == 3 { // the ledger's row, and another item before or after
			f = queued
			lines = append(lines, line{more[i], 2})
			if i%3 == 0 {
				lines[0], lines[1] = lines[1], lines[0]
			}
		}
		m := member{b: w.branch(f, lines...), want: done}
		switch {
		case i < trys:
			m.p = tcc.Try
		case i%4 < 2:
			m.p = tcc.Confirm
		default:
			m.p = tcc.Cancel
		}
		if m.p != tcc.Try {
			before = append(before, m.b)
		}
		if fails {
			m.want = rejected
		}
		members = append(members, m)
	}
	w.tried(before...)
	// Neighbours in the queue are of any phase.
	mixed := make([]member, len(members))
	for i := range members {
		mixed[i] = members[i*27%len(members)]
	}
	answers := w.together(mixed)
	if percent > 0 {
		require.Equal(w.t, trys*percent/100, tally(answers)[rejected])
	}
	w.again(mixed)
}

// crowdConstraint: the statement of one branch violates a constraint. It alone
// fails, and nothing of it stays.
func crowdConstraint(w *world) {
	it := w.item(w.t, account, "a", 100)
	for i, p := range allPhases {
		for _, query := range []string{
			"UPDATE account SET available = -1 WHERE id = ?",
			"INSERT INTO account (id, available, frozen, spent) VALUES (?, 0, 0, 0)",
			"DELETE FROM no_such_table WHERE id = ?",
		}[i:] {
			b := w.ready(it, p)
			bad := func(_ context.Context, tx barrier.Tx) error {
				tx.Queue(barrier.Stmt{Query: query, Args: []any{it.id}, Key: it.id, Rows: 1})
				return nil
			}
			w.together(w.among(
				member{b: b, p: p, want: internal, work: b.after(p, bad)},
				// This one's own row must not go with the other's.
				member{b: w.branch(queued, line{it, 1}), p: tcc.Try, want: done},
			))
			w.wantState(beforePhase(p), b)
			w.want(done, w.deliver(b, p))
		}
	}
}

// crowdTooManyRows: one branch affects more rows than it declared.
func crowdTooManyRows(w *world) {
	a, b := w.item(w.t, account, "a", 100), w.item(w.t, account, "b", 100)
	for _, p := range allPhases {
		br := w.ready(a, p)
		w.together(w.among(member{b: br, p: p, want: internal, work: br.after(p, func(_ context.Context, tx barrier.Tx) error {
			tx.Queue(both(a, b, 1))
			return nil
		})}))
		w.wantState(beforePhase(p), br)
		w.want(done, w.deliver(br, p))
	}
}

// crowdGuardAfterTry: what some branches had set aside is gone when they are
// confirmed or cancelled. They stay TRIED; the others are done.
func crowdGuardAfterTry(w *world) {
	var special []member
	var before []*branch
	for i, it := range w.items(account, 12, 20) {
		b := w.branch(queueingForms[i%2], line{it, 7})
		before = append(before, b)
		m := member{b: b, p: []tcc.Phase{tcc.Confirm, tcc.Cancel}[i/2%2], want: done}
		if i%3 == 0 {
			m.want = internal
		}
		special = append(special, m)
	}
	w.tried(before...)
	take := func(qty int64) {
		for _, m := range special {
			if m.want == internal {
				w.outside("UPDATE account SET frozen = frozen - ? WHERE id = ?", qty, m.b.lines[0].item.id)
			}
		}
	}
	take(1)
	w.together(w.among(special...))
	for _, m := range special {
		if m.want == internal {
			w.wantState(barrier.Tried, m.b)
		}
	}
	take(-1)
	for i := range special {
		if special[i].want == internal {
			special[i].want = done
			w.want(done, w.deliver(special[i].b, special[i].p))
		}
	}
	w.again(special)
}

// failing is a Try whose guard fails, with an Otherwise of the case's.
func (w *world) failing(f form, otherwise func(ctx context.Context, tx barrier.Tx) error) (*branch, barrier.Work) {
	w.t.Helper()
	b := w.branch(f, line{w.item(w.t, account, "f"+w.newID(), 1), 2})
	return b, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
		if f == queued {
			tx.Queue(b.entry(tcc.Try))
		}
		s := b.stmt(b.lines[0], tcc.Try)
		s.Otherwise = otherwise
		tx.Queue(s)
		return b.response, nil
	}
}

// crowdOtherwiseFails: it panics, gives no reason, writes, reads what is not
// there, fails, or is not there. Nothing of its branch stays, and its
// neighbours notice nothing.
func crowdOtherwiseFails(w *world) {
	for _, f := range queueingForms {
		var special []member
		for i, otherwise := range []func(ctx context.Context, tx barrier.Tx) error{
			func(context.Context, barrier.Tx) error { panic("Otherwise panics") },
			func(context.Context, barrier.Tx) error { return nil },
			func(context.Context, barrier.Tx) error { return errors.New("a bug") },
			func(ctx context.Context, tx barrier.Tx) error {
				_, _ = tx.ExecContext(ctx, write)
				return tcc.Reject("NO", "", nil)
			},
			func(_ context.Context, tx barrier.Tx) error {
				tx.Queue(barrier.Stmt{Query: write, Rows: 1})
				return tcc.Reject("NO", "", nil)
			},
			func(ctx context.Context, tx barrier.Tx) error {
				var n int
				_ = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM no_such_table").Scan(&n)
				return tcc.Reject("NO", "", nil)
			},
			func(ctx context.Context, tx barrier.Tx) error {
				_, _ = tx.QueryContext(ctx, "SELECT id FROM account")
				return tcc.Reject("NO", "", nil)
			},
			func(context.Context, barrier.Tx) error { return tcc.Pending("ask again") },
			nil,
		} {
			b, work := w.failing(f, otherwise)
			want := internal
			if i == 7 {
				want = pending
			}
			special = append(special, member{b: b, p: tcc.Try, work: work, want: want})
		}
		w.together(w.among(special...))
		for _, m := range special {
			w.wantState(barrier.None, m.b)
			w.want(rejected, w.deliver(m.b, tcc.Try))
		}
		require.Empty(w.t, w.memos(), "what an Otherwise wrote")
	}
}

// crowdOtherwiseHangs: while the Otherwise of one branch hangs, the others are
// answered, and it gets its own answer when it goes on. It may heed its context
// or not, and hang in its own code or in the database.
func crowdOtherwiseHangs(w *world) {
	for _, f := range queueingForms {
		for _, heeds := range []bool{true, false} {
			for _, reads := range []bool{false, true} {
				w.t.Logf("%s, heeds its context: %t, hangs while it reads: %t", f, heeds, reads)
				otherwiseHangs(w, f, heeds, reads)
			}
		}
	}
}

func otherwiseHangs(w *world, f form, heeds, reads bool) {
	inside, leave := make(chan struct{}, crowdSize), make(chan struct{})
	b, fails := w.failing(alone, func(ctx context.Context, tx barrier.Tx) error {
		inside <- struct{}{}
		var hears <-chan struct{}
		if heeds {
			hears = ctx.Done()
		} else {
			ctx = context.WithoutCancel(ctx)
		}
		var left int64
		for reads {
			if err := tx.QueryRowContext(ctx, "SELECT available + SLEEP(0.01) FROM account WHERE id LIKE ?", w.prefix+"f%").Scan(&left); err != nil {
				return err
			}
			select {
			case <-leave:
				reads = false
			default:
			}
		}
		select {
		case <-leave:
		case <-hears:
			return ctx.Err()
		}
		return tcc.Reject("SLOW", "", nil)
	})
	more := line{w.item(w.t, account, "h"+w.newID(), 1), 1}
	work := func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		if f == queued {
			// Something to undo, so that it runs alone. Not an insert: under REPEATABLE READ who undoes
			// one keeps its gap locked, and hangs in everybody's way.
			tx.Queue(b.stmt(more, tcc.Try))
		}
		return fails(ctx, tx)
	}
	c := w.gather(w.among(member{b: b, p: tcc.Try, work: work, want: rejected}))
	c.release()
	w.await("the Otherwise", inside)
	w.eventually("the others to be answered while an Otherwise hangs", func() bool {
		left := 0
		for _, call := range c.calls {
			if !call.returned() {
				left++
			}
		}
		return left <= 1
	})
	close(leave)
	c.answers()
	w.wantState(barrier.Rejected, b)
}

// crowdWorkFails: the work functions of some fail, reject or panic before they
// have queued or after.
func crowdWorkFails(w *world) {
	var special []member
	var before []*branch
	for i, end := range []struct {
		err  error
		want verdict
	}{
		{errors.New("a bug"), internal},
		{tcc.Pending("not yet"), pending},
		{tcc.Retry(errors.New("a service is away")), unavailable},
		{tcc.Reject("CLOSED", "", nil), rejected},
		{nil, internal}, // panics
	} {
		for j, p := range allPhases {
			it := w.item(w.t, account, fmt.Sprintf("w%d-%d", i, j), 10)
			b := w.branch(queueingForms[(i+j)%2], line{it, 1})
			want := end.want
			if p != tcc.Try {
				before = append(before, b)
				if want == rejected {
					want = internal
				}
			}
			fail := func(context.Context, barrier.Tx) error {
				if end.err == nil {
					panic("the work panics")
				}
				return end.err
			}
			work := b.after(p, fail)
			if j == 1 {
				work = b.before(p, fail)
			}
			special = append(special, member{b: b, p: p, work: work, want: want})
		}
	}
	w.tried(before...)
	w.together(w.among(special...))
	for _, m := range special {
		if m.want == rejected {
			w.wantState(barrier.Rejected, m.b)
			continue
		}
		w.wantState(beforePhase(m.p), m.b)
		w.want(done, w.deliver(m.b, m.p))
	}
}

// crowdArgumentFails: the arguments of some cannot be sent: one says so, one
// panics, one has a type that no driver knows.
func crowdArgumentFails(w *world) {
	it := w.item(w.t, account, "a", 100)
	for _, p := range allPhases {
		var special []member
		for _, arg := range []any{failingValuer{}, panickingValuer{}, struct{ x int }{1}} {
			b := w.ready(it, p)
			special = append(special, member{b: b, p: p, want: internal, work: b.after(p, func(_ context.Context, tx barrier.Tx) error {
				tx.Queue(barrier.Stmt{Query: "DELETE FROM memo WHERE id = ?", Args: []any{arg}, Key: "m", Rows: 1})
				return nil
			})})
		}
		w.together(w.among(special...))
		for _, m := range special {
			w.wantState(beforePhase(p), m.b)
			w.want(done, w.deliver(m.b, p))
		}
	}
}

type panickingValuer struct{}

func (panickingValuer) Value() (driver.Value, error) { panic("an argument panics") }
