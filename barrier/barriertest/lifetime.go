package barriertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func lifetime() []testCase {
	return []testCase{
		{name: "UseAfterTheEnd", forms: allForms, run: lifetimeUseAfterTheEnd},
		{name: "PreparedAfterTheEnd", run: lifetimePreparedAfterTheEnd},
		{name: "RowsLeftOpen", run: lifetimeRowsLeftOpen},
		{name: "RowsClosed", run: lifetimeRowsClosed},
		{name: "StatementLeftOpen", run: lifetimeStatementLeftOpen},
		{name: "OtherwiseTxAfterTheEnd", run: lifetimeOtherwiseTx},
	}
}

// write is what a stray statement would do.
const write = "INSERT INTO memo (id) VALUES ('stray')"

// lifetimeUseAfterTheEnd: a Tx that the work kept writes nothing, neither
// while its connection is idle nor when another branch has it.
func lifetimeUseAfterTheEnd(w *world) {
	it := w.item(w.t, account, "a", 10)
	var kept barrier.Tx
	b := w.debit(it, 1)
	w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error { kept = tx; return nil })))
	stray := func() {
		for name, use := range uses {
			require.Error(w.t, use(w.ctx, kept, write), "%s after the end", name)
		}
		kept.AfterCommit(func() { w.t.Error("AfterCommit ran after the end") })
	}
	stray()
	b = w.debit(it, 1)
	w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(context.Context, barrier.Tx) error { stray(); return nil })))
	require.Empty(w.t, w.memos())
}

func lifetimePreparedAfterTheEnd(w *world) {
	it := w.item(w.t, account, "a", 10)
	var kept *sql.Stmt
	b := w.debit(it, 1)
	w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(ctx context.Context, tx barrier.Tx) (err error) {
		kept, err = tx.PrepareContext(ctx, write)
		return err
	})))
	stray := func() {
		_, err := kept.ExecContext(w.ctx)
		require.Error(w.t, err)
		rows, err := kept.QueryContext(w.ctx)
		if err == nil {
			_ = rows.Close()
		}
		require.Error(w.t, err)
	}
	stray()
	b = w.branch(direct, line{it, 1})
	w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(context.Context, barrier.Tx) error { stray(); return nil })))
	stray()
	_ = kept.Close()
	require.Empty(w.t, w.memos())
}

// lifetimeRowsLeftOpen: rows that are read later would be read from another
// branch's connection; so the branch that leaves them open fails.
func lifetimeRowsLeftOpen(w *world) {
	it := w.item(w.t, account, "a", 1000)
	const many = "SELECT id FROM account UNION ALL SELECT id FROM account UNION ALL SELECT id FROM account"
	for name, leave := range map[string]func(ctx context.Context, tx barrier.Tx) (*sql.Rows, error){
		"unread": func(ctx context.Context, tx barrier.Tx) (*sql.Rows, error) { return tx.QueryContext(ctx, many) },
		"half read": func(ctx context.Context, tx barrier.Tx) (*sql.Rows, error) {
			rows, err := tx.QueryContext(ctx, many)
			if err == nil {
				rows.Next()
			}
			return rows, err
		},
		"row": func(ctx context.Context, tx barrier.Tx) (*sql.Rows, error) {
			_ = tx.QueryRowContext(ctx, many)
			return nil, nil
		},
		"prepared": func(ctx context.Context, tx barrier.Tx) (*sql.Rows, error) {
			stmt, err := tx.PrepareContext(ctx, many)
			if err != nil {
				return nil, err
			}
			return stmt.QueryContext(ctx)
		},
	} {
		for _, f := range allForms {
			for _, p := range allPhases {
				w.t.Logf("rows %s in %s, %s", name, p, f)
				b := w.branch(f, line{it, 1})
				if p != tcc.Try {
					w.want(done, w.deliver(b, tcc.Try))
				}
				var kept *sql.Rows
				a := w.deliverWork(b, p, b.after(p, func(ctx context.Context, tx barrier.Tx) (err error) {
					kept, err = leave(ctx, tx)
					return err
				}))
				w.want(internal, a)
				w.wantState(beforePhase(p), b)
				if kept != nil {
					for kept.Next() {
					}
					_ = kept.Close()
				}
				w.want(done, w.deliver(b, p))
				if p == tcc.Try {
					w.want(done, w.deliver(b, tcc.Cancel))
				}
			}
		}
	}
}

// lifetimeRowsClosed: rows that are closed half read are no harm.
func lifetimeRowsClosed(w *world) {
	it := w.item(w.t, account, "a", 10)
	for _, f := range allForms {
		b := w.branch(f, line{it, 1})
		w.want(done, w.deliverWork(b, tcc.Try, b.before(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
			rows, err := tx.QueryContext(ctx, "SELECT id FROM account UNION ALL SELECT id FROM account")
			if err != nil {
				return err
			}
			rows.Next()
			if err := rows.Close(); err != nil {
				return err
			}
			var id string
			err = tx.QueryRowContext(ctx, "SELECT id FROM account WHERE id = 'nobody'").Scan(&id)
			if !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("no row was found, and the error is %w", err)
			}
			return nil
		})))
	}
}

// lifetimeStatementLeftOpen: a prepared statement that is not closed is only
// memory.
func lifetimeStatementLeftOpen(w *world) {
	it := w.item(w.t, account, "a", 10)
	for _, f := range allForms {
		b := w.branch(f, line{it, 1})
		w.want(done, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
			_, err := tx.PrepareContext(ctx, "SELECT id FROM account")
			return err
		})))
	}
}

func lifetimeOtherwiseTx(w *world) {
	it := w.item(w.t, account, "a", 1)
	var kept barrier.Tx
	b := w.branch(queued, line{it, 2})
	w.want(rejected, w.deliverWork(b, tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
		s := b.stmt(line{it, 2}, tcc.Try)
		s.Otherwise = func(_ context.Context, tx barrier.Tx) error {
			kept = tx
			return tcc.Reject("NO", "", nil)
		}
		tx.Queue(s)
		return nil, nil
	}))
	for name, use := range uses {
		require.Error(w.t, use(w.ctx, kept, write), "%s after the end", name)
		require.Error(w.t, use(w.ctx, kept, "SELECT 1"), "%s after the end", name)
	}
	require.Empty(w.t, w.memos())
}
