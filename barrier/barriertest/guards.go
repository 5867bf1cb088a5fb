package barriertest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func guards() []testCase {
	return []testCase{
		{name: "FailedInConfirmOrCancel", forms: allForms, run: guardFailedInConfirmOrCancel},
		{name: "TooManyRows", run: guardTooManyRows},
		{name: "FailedBeforeAnError", run: guardFailedBeforeAnError},
		{name: "DeclaredRows", run: guardDeclaredRows},
		{name: "Otherwise", run: guardOtherwise},
		{name: "OtherwiseMayOnlyRead", run: guardOtherwiseMayOnlyRead},
		{name: "OtherwiseReads", run: guardOtherwiseReads},
	}
}

// guardFailedInConfirmOrCancel: what the Try set aside was taken away by
// somebody else. That is no business no: the branch stays TRIED until a person
// has repaired the row.
func guardFailedInConfirmOrCancel(w *world) {
	it := w.item(w.t, account, "a", 100)
	for _, p := range []tcc.Phase{tcc.Confirm, tcc.Cancel} {
		b := w.debit(it, 10)
		w.want(done, w.deliver(b, tcc.Try))
		w.outside("UPDATE account SET frozen = frozen - 10 WHERE id = ?", it.id)
		w.want(internal, w.deliver(b, p))
		w.want(internal, w.deliver(b, p))
		w.wantState(barrier.Tried, b)
		w.outside("UPDATE account SET frozen = frozen + 10 WHERE id = ?", it.id)
		w.want(done, w.deliver(b, p))
		w.want(duplicate, w.deliver(b, p))
	}
}

// guardFailedBeforeAnError: what comes behind a statement whose guard failed is
// not meant to run, such as the insert of a reference to what is not there. Its
// error is not that of the branch.
func guardFailedBeforeAnError(w *world) {
	it := w.item(w.t, account, "a", 100)
	for _, f := range mainForms {
		b := w.branch(f, line{it, 1})
		two := func(ctx context.Context, tx barrier.Tx) error {
			tx.Queue(barrier.Stmt{
				Query: "UPDATE account SET spent = spent + 1 WHERE id = 'nobody'", Rows: 1,
				Otherwise: func(context.Context, barrier.Tx) error { return tcc.Reject(reasonUnknown, "", nil) },
			})
			tx.Queue(barrier.Stmt{Query: "INSERT INTO account (id, available, frozen, spent) VALUES ('nobody', -1, 0, 0)", Rows: 1})
			return nil
		}
		w.want(done, w.deliver(b, tcc.Try))
		w.want(internal, w.deliverWork(b, tcc.Confirm, b.after(tcc.Confirm, two)))
		w.wantState(barrier.Tried, b)
		w.want(done, w.deliver(b, tcc.Cancel))
		for _, work := range []func(b *branch) barrier.Work{
			func(b *branch) barrier.Work { return b.after(tcc.Try, two) },
			func(b *branch) barrier.Work { return b.before(tcc.Try, two) },
		} {
			b = w.branch(f, line{it, 1})
			w.want(rejected, w.deliverWork(b, tcc.Try, work(b)))
			w.want(rejected, w.deliver(b, tcc.Try))
			w.want(duplicate, w.deliver(b, tcc.Cancel))
		}
	}
	require.Equal(w.t, row{available: 100}, w.row(w.t, it))
}

// outside changes the business from outside the barrier.
func (w *world) outside(query string, args ...any) {
	w.t.Helper()
	_, err := w.db.ExecContext(w.ctx, query, args...)
	require.NoError(w.t, err)
}

// both is a statement that affects both of two rows.
func both(a, b item, rows int64) barrier.Stmt {
	return barrier.Stmt{
		Query: "UPDATE account SET available = available + 1 WHERE id IN (?, ?)", Args: []any{a.id, b.id}, Key: a.id, Rows: rows,
		Otherwise: func(context.Context, barrier.Tx) error { return tcc.Reject("TOO_FEW", "", nil) },
	}
}

// guardTooManyRows: a statement that hits more rows than declared is a bug,
// never a business no, and nothing of it stays.
func guardTooManyRows(w *world) {
	a, b := w.item(w.t, account, "a", 100), w.item(w.t, account, "b", 100)
	for _, f := range mainForms {
		for _, rows := range []int64{0, 1} {
			br := w.branch(f, line{a, 1})
			tooMany := func(_ context.Context, tx barrier.Tx) error {
				tx.Queue(both(a, b, rows))
				return nil
			}
			w.want(internal, w.deliverWork(br, tcc.Try, br.after(tcc.Try, tooMany)))
			w.wantState(barrier.None, br)
			w.want(internal, w.deliverWork(br, tcc.Try, br.before(tcc.Try, tooMany)))
			w.wantState(barrier.None, br)
			w.want(done, w.deliver(br, tcc.Try))
			w.want(internal, w.deliverWork(br, tcc.Confirm, br.after(tcc.Confirm, tooMany)))
			w.want(internal, w.deliverWork(br, tcc.Cancel, br.after(tcc.Cancel, tooMany)))
			w.wantState(barrier.Tried, br)
			w.want(done, w.deliver(br, tcc.Cancel))
		}
	}
}

// guardDeclaredRows: any number of rows can be declared, and fewer fail.
func guardDeclaredRows(w *world) {
	a, b := w.item(w.t, account, "a", 100), w.item(w.t, account, "b", 100)
	absent := item{account, "absent"}
	deliver := func(s barrier.Stmt) answer {
		br := w.branch(queued)
		return w.deliverWork(br, tcc.Try, br.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
			tx.Queue(s)
			return nil
		}))
	}
	w.want(done, deliver(both(absent, absent, 0)))
	w.want(done, deliver(both(a, absent, 1)))
	w.want(done, deliver(both(a, b, 2)))
	w.funds[a] += 2
	w.funds[b]++
	w.want(rejected, deliver(both(a, absent, 2)))
	w.want(rejected, deliver(both(absent, absent, 1)))
	w.want(internal, deliver(both(a, b, -1)))
}

// guardOtherwise: a guard without a reason is a bug; other answers than a
// rejection mean what they mean in a work function.
func guardOtherwise(w *world) {
	it := w.item(w.t, account, "a", 1)
	broken := errors.New("cannot say why")
	for _, c := range []struct {
		name      string
		otherwise func(context.Context, barrier.Tx) error
		want      verdict
	}{
		{"none", nil, internal},
		{"returns nil", func(context.Context, barrier.Tx) error { return nil }, internal},
		{"fails", func(context.Context, barrier.Tx) error { return broken }, internal},
		{"fails after a read", func(ctx context.Context, tx barrier.Tx) error {
			var n int
			return tx.QueryRowContext(ctx, "SELECT no_such_column FROM account").Scan(&n)
		}, internal},
		{"pending", func(context.Context, barrier.Tx) error { return tcc.Pending("later") }, pending},
		{"invalid", func(context.Context, barrier.Tx) error { return tcc.Invalidf("no such account") }, invalid},
	} {
		for _, f := range []form{queued, alone} {
			w.t.Logf("Otherwise %s, %s", c.name, f)
			b := w.branch(f, line{it, 1})
			a := w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
				s := b.stmt(line{it, 2}, tcc.Try)
				s.Otherwise = c.otherwise
				tx.Queue(s)
				return nil
			}))
			w.want(c.want, a)
			w.wantState(barrier.None, b)
			require.Equal(w.t, row{available: 1}, w.row(w.t, it))
		}
	}
}

// guardOtherwiseMayOnlyRead: what Otherwise wrote would be committed with the
// rejection.
func guardOtherwiseMayOnlyRead(w *world) {
	it := w.item(w.t, account, "a", 1)
	for name, write := range map[string]func(ctx context.Context, tx barrier.Tx){
		"exec": func(ctx context.Context, tx barrier.Tx) { _, _ = tx.ExecContext(ctx, "UPDATE account SET spent = 7") },
		"queue": func(_ context.Context, tx barrier.Tx) {
			tx.Queue(barrier.Stmt{Query: "UPDATE account SET spent = 7", Rows: 1})
		},
		"prepare": func(ctx context.Context, tx barrier.Tx) {
			stmt, err := tx.PrepareContext(ctx, "UPDATE account SET spent = 7")
			if err != nil {
				return
			}
			defer func() { _ = stmt.Close() }()
			_, _ = stmt.ExecContext(ctx)
		},
		"with": func(ctx context.Context, tx barrier.Tx) {
			rows, err := tx.QueryContext(ctx, "WITH x AS (SELECT 7 AS n) UPDATE account SET spent = (SELECT n FROM x)")
			if err == nil {
				rows.Next()
				_ = rows.Close()
			}
		},
		"query": func(ctx context.Context, tx barrier.Tx) {
			rows, err := tx.QueryContext(ctx, "UPDATE account SET spent = 7")
			if err == nil {
				rows.Next()
				_ = rows.Close()
			}
		},
	} {
		b := w.branch(queued, line{it, 2})
		a := w.deliverWork(b, tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
			s := b.stmt(line{it, 2}, tcc.Try)
			s.Otherwise = func(ctx context.Context, tx barrier.Tx) error {
				write(ctx, tx)
				return tcc.Reject("NO", "", nil)
			}
			tx.Queue(s)
			return nil, nil
		})
		require.Equal(w.t, row{available: 1}, w.row(w.t, it), "Otherwise wrote by %s", name)
		if a.verdict() == rejected && name == "with" {
			continue // the first word does not tell; that nothing stays is enough
		}
		w.want(internal, a)
		w.wantState(barrier.None, b)
	}
}

// guardOtherwiseReads: it sees the database as it was before the branch, and
// the barrier row still belongs to the branch.
func guardOtherwiseReads(w *world) {
	it := w.item(w.t, account, "a", 5)
	b := w.branch(queued, line{it, 3}, line{it, 3})
	a := w.deliverWork(b, tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
		tx.Queue(b.entry(tcc.Try))
		for range 2 { // 5 are enough for one
			s := b.stmt(line{it, 3}, tcc.Try)
			s.Otherwise = func(ctx context.Context, tx barrier.Tx) error {
				rows, err := tx.QueryContext(ctx, "SELECT available, frozen FROM account WHERE id = ?", it.id)
				if err != nil {
					return err
				}
				defer func() { _ = rows.Close() }()
				var got row
				for rows.Next() {
					if err := rows.Scan(&got.available, &got.held); err != nil {
						return err
					}
				}
				if err := rows.Err(); err != nil {
					return err
				}
				if got != (row{available: 5}) {
					return errors.New("the Otherwise sees what should have been rolled back")
				}
				return tcc.Reject("NO", "", nil)
			}
			tx.Queue(s)
		}
		return nil, nil
	})
	w.want(rejected, a)
	w.wantState(barrier.Rejected, b)
}
