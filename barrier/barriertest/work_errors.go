package barriertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func workErrors() []testCase {
	return []testCase{
		{name: "NothingPersists", forms: allForms, run: errorNothingPersists},
		{name: "FailedStatementIgnored", run: errorFailedStatementIgnored},
		{name: "FailedStatementReplaced", run: errorFailedStatementReplaced},
		{name: "QueuedStatementFails", forms: mainForms, run: errorQueuedStatementFails},
		{name: "Panic", forms: allForms, run: func(w *world) { errorUnwinds(w, func() { panic("the work panics") }) }},
		{name: "Goexit", forms: allForms, run: func(w *world) { errorUnwinds(w, runtime.Goexit) }},
		{name: "PanicInOtherwise", run: errorPanicInOtherwise},
	}
}

// ready makes a branch that can take phase p.
func (w *world) ready(it item, p tcc.Phase) *branch {
	w.t.Helper()
	b := w.debit(it, 1)
	if p != tcc.Try {
		w.want(done, w.deliver(b, tcc.Try))
	}
	return b
}

// beforePhase is the state of a branch that phase p has not changed.
func beforePhase(p tcc.Phase) barrier.State {
	if p == tcc.Try {
		return barrier.None
	}
	return barrier.Tried
}

// errorNothingPersists: whatever error a work function returns that is no
// rejection, before or after it wrote, comes back and leaves no trace; the
// next delivery begins from scratch.
func errorNothingPersists(w *world) {
	it := w.item(w.t, account, "a", 1000)
	plain := errors.New("a bug")
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{plain, internal},
		{tcc.Pending("not yet"), pending},
		{fmt.Errorf("wrapped: %w", tcc.Pending("not yet")), pending},
		{tcc.Invalidf("what is this"), invalid},
		{tcc.Retry(errors.New("a downstream service is away")), unavailable},
		{&tcc.ConflictError{State: "OTHER"}, "conflict with OTHER"},
	} {
		for _, p := range allPhases {
			b := w.ready(it, p)
			for _, work := range []barrier.Work{
				func(context.Context, barrier.Tx) ([]byte, error) { return nil, c.err },
				b.after(p, func(context.Context, barrier.Tx) error { return c.err }),
				func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
					_, err := b.work(p)(ctx, tx)
					return []byte("a response beside an error"), errors.Join(err, c.err)
				},
			} {
				a := w.deliverWork(b, p, work)
				w.want(c.want, a)
				require.ErrorIs(w.t, a.err, c.err)
				w.wantState(beforePhase(p), b)
			}
			w.want(done, w.deliver(b, p))
		}
	}
}

// errorFailedStatementIgnored: work that goes on after a statement failed does
// not know what it does.
func errorFailedStatementIgnored(w *world) {
	it := w.item(w.t, account, "a", 1000)
	for name, fail := range w.failingStatements(it) {
		for _, f := range allForms {
			for _, p := range allPhases {
				w.t.Logf("%s ignored in %s, %s", name, p, f)
				b := w.branch(f, line{it, 1})
				if p != tcc.Try {
					w.want(done, w.deliver(b, tcc.Try))
				}
				for _, work := range []barrier.Work{
					b.before(p, func(ctx context.Context, tx barrier.Tx) error { _ = fail(ctx, tx); return nil }),
					b.after(p, func(ctx context.Context, tx barrier.Tx) error { _ = fail(ctx, tx); return nil }),
				} {
					w.want(internal, w.deliverWork(b, p, work))
					w.wantState(beforePhase(p), b)
				}
				w.want(done, w.deliver(b, p))
			}
		}
	}
}

// failingStatements fail in each way that a Tx offers.
func (w *world) failingStatements(it item) map[string]func(ctx context.Context, tx barrier.Tx) error {
	const duplicateKey = "INSERT INTO account (id, available, frozen, spent) VALUES (?, 0, 0, 0)"
	all := map[string]func(ctx context.Context, tx barrier.Tx) error{
		"duplicate key": func(ctx context.Context, tx barrier.Tx) error {
			_, err := tx.ExecContext(ctx, duplicateKey, it.id)
			return err
		},
		"check": func(ctx context.Context, tx barrier.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE account SET available = -1 WHERE id = ?", it.id)
			return err
		},
		// It does not come as far as the server.
		"no argument": func(ctx context.Context, tx barrier.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE account SET available = 0 WHERE id = ?", struct{ id string }{it.id})
			return err
		},
		"unknown column": func(ctx context.Context, tx barrier.Tx) error {
			rows, err := tx.QueryContext(ctx, "SELECT nonsense FROM account")
			if err == nil {
				err = rows.Close()
			}
			return err
		},
		"unknown table": func(ctx context.Context, tx barrier.Tx) error {
			var n int
			return tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM no_such_table").Scan(&n)
		},
		"syntax, prepared": func(ctx context.Context, tx barrier.Tx) error {
			stmt, err := tx.PrepareContext(ctx, "UPDATE account SET")
			if err == nil {
				err = stmt.Close()
			}
			return err
		},
		"duplicate key, prepared": func(ctx context.Context, tx barrier.Tx) error {
			stmt, err := tx.PrepareContext(ctx, duplicateKey)
			if err != nil {
				return err
			}
			defer func() { _ = stmt.Close() }()
			_, err = stmt.ExecContext(ctx, it.id)
			return err
		},
	}
	if w.dialect == SQLite {
		// It ends the transaction by itself.
		all["or rollback"] = func(ctx context.Context, tx barrier.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT OR ROLLBACK INTO account (id, available, frozen, spent) VALUES (?, 0, 0, 0)", it.id)
			return err
		}
	}
	return all
}

// errorFailedStatementReplaced: work may put its own words in the place of a
// statement's error. Nothing persists then either.
func errorFailedStatementReplaced(w *world) {
	it := w.item(w.t, account, "a", 1000)
	own := errors.New("in other words")
	for _, fail := range w.failingStatements(it) {
		for _, p := range allPhases {
			b := w.ready(it, p)
			w.want(internal, w.deliverWork(b, p, b.after(p, func(ctx context.Context, tx barrier.Tx) error {
				if fail(ctx, tx) == nil {
					return nil
				}
				return own
			})))
			w.wantState(beforePhase(p), b)
		}
	}
}

// errorQueuedStatementFails: a constraint that a queued statement violates is
// a failure, not a guard: only affected rows say no.
func errorQueuedStatementFails(w *world) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		for _, query := range []string{
			"INSERT INTO account (id, available, frozen, spent) VALUES (?, 0, 0, 0)",
			"UPDATE account SET available = -1 WHERE id = ?",
			"DELETE FROM no_such_table WHERE id = ?",
		} {
			b := w.ready(it, p)
			bad := func(_ context.Context, tx barrier.Tx) error {
				tx.Queue(barrier.Stmt{Query: query, Args: []any{it.id}, Rows: 1, Otherwise: func(context.Context, barrier.Tx) error {
					return tcc.Reject("NO", "", nil)
				}})
				return nil
			}
			w.want(internal, w.deliverWork(b, p, b.after(p, bad)))
			w.want(internal, w.deliverWork(b, p, b.before(p, bad)))
			w.wantState(beforePhase(p), b)
			w.want(done, w.deliver(b, p))
		}
	}
}

// errorUnwinds: a work function that does not return leaves no transaction
// behind and no row. A panic may reach the caller or become an error.
func errorUnwinds(w *world, leave func()) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		b := w.ready(it, p)
		for _, work := range []barrier.Work{
			func(context.Context, barrier.Tx) ([]byte, error) { leave(); return nil, nil },
			b.after(p, func(context.Context, barrier.Tx) error { leave(); return nil }),
		} {
			c := begin(func() (a answer) {
				defer func() {
					if v := recover(); v != nil {
						a = answer{err: fmt.Errorf("panic: %v", v)}
					}
				}()
				return w.deliverWork(b, p, work)
			})
			a := c.wait(w.t)
			require.NotContains(w.t, []verdict{done, duplicate, rejected, lateTry, emptyCancel}, a.verdict())
			w.quiet()
			w.wantState(beforePhase(p), b)
		}
		w.want(done, w.deliver(b, p))
	}
}

func errorPanicInOtherwise(w *world) {
	it := w.item(w.t, account, "a", 1)
	for _, f := range []form{queued, alone, mixed} {
		b := w.branch(f, line{it, 2})
		c := begin(func() (a answer) {
			defer func() {
				if v := recover(); v != nil {
					a = answer{err: fmt.Errorf("panic: %v", v)}
				}
			}()
			return w.deliverWork(b, tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
				s := b.stmt(line{it, 2}, tcc.Try)
				s.Otherwise = func(context.Context, barrier.Tx) error { panic("Otherwise panics") }
				tx.Queue(s)
				return nil, nil
			})
		})
		w.want(internal, c.wait(w.t))
		w.quiet()
		w.wantState(barrier.None, b)
		w.want(rejected, w.deliver(b, tcc.Try))
	}
}
