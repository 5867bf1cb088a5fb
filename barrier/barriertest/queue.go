package barriertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func queue() []testCase {
	return []testCase{
		{name: "Malformed", run: queueMalformed},
		{name: "CommentsAndStrings", run: queueCommentsAndStrings},
		{name: "ArgumentsAsInExec", run: queueArgumentsAsInExec},
		{name: "OrderWithoutKeys", run: queueOrderWithoutKeys},
		{name: "Many", forms: mainForms, run: queueMany},
		{name: "BetweenDirectStatements", run: queueBetweenDirectStatements},
	}
}

// queueing is a branch that queues statements and does nothing else but write
// its ledger row in its form.
func (w *world) queueing(f form, stmts ...barrier.Stmt) (*branch, answer) {
	b := w.branch(f)
	return b, w.deliverWork(b, tcc.Try, b.after(tcc.Try, func(_ context.Context, tx barrier.Tx) error {
		for _, s := range stmts {
			tx.Queue(s)
		}
		return nil
	}))
}

func queueMalformed(w *world) {
	w.outside("INSERT INTO memo (id, body) VALUES ('m', NULL)")
	for _, s := range []barrier.Stmt{
		{},
		{Query: "   "},
		{Query: ";"},
		{Query: "-- nothing"},
		{Query: "DELETE FROM memo WHERE id = ?", Rows: 1},
		{Query: "DELETE FROM memo WHERE id = ?", Args: []any{"m", "m"}, Rows: 1},
		{Query: "DELETE FROM memo WHERE id = 'm'", Args: []any{"m"}, Rows: 1},
		{Query: "DELETE FROM memo WHERE id = 'm'; DELETE FROM memo", Rows: 1},
		{Query: "DELETE FROM memo WHERE id = 'm'; COMMIT", Rows: 1},
		{Query: "DELETE FROM memo WHERE id = ?; COMMIT", Args: []any{"m"}, Rows: 1},
		{Query: "DELETE FROM memo WHERE id = 'm", Rows: 1},
		{Query: "DELETE FROM memo WHERE id = 'm' /* and", Rows: 1},
		{Query: "DELETE FROM memo WHERE nonsense", Rows: 1},
		{Query: "DELETE FROM no_such_table", Rows: 1},
		{Query: "DELETE FROM memo WHERE id = 'm' RETURNING id", Rows: 1},
		{Query: "SELECT id FROM memo", Rows: 1},
		{Query: "(SELECT id FROM memo)", Rows: 1},
		{Query: "COMMIT"},
		{Query: "ROLLBACK"},
		{Query: "TRUNCATE TABLE memo"},
		{Query: "DROP TABLE memo"},
		{Query: "DELETE FROM memo WHERE id = ?", Args: []any{struct{ x int }{1}}, Rows: 1},
		{Query: "DELETE FROM memo WHERE id = ?", Args: []any{failingValuer{}}, Rows: 1},
	} {
		for _, f := range mainForms {
			b, a := w.queueing(f, s)
			require.Equal(w.t, internal, a.verdict(), "%q: %v", s.Query, a.err)
			w.wantState(barrier.None, b)
		}
	}
	require.Equal(w.t, []string{"m"}, w.memos())
}

type failingValuer struct{}

func (failingValuer) Value() (driver.Value, error) { return nil, fmt.Errorf("no value") }

// memos reads the ids in table memo.
func (w *world) memos() []string {
	w.t.Helper()
	rows, err := w.db.QueryContext(w.ctx, "SELECT id FROM memo ORDER BY id")
	require.NoError(w.t, err)
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		require.NoError(w.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(w.t, rows.Err())
	return ids
}

// queueCommentsAndStrings: a store that sends statements together must not
// let the end of one swallow the next.
func queueCommentsAndStrings(w *world) {
	memo := func(query string, args ...any) barrier.Stmt { return barrier.Stmt{Query: query, Args: args, Rows: 1} }
	for i, insert := range []string{
		"INSERT INTO memo (id) VALUES (?)",
		"  \n\tINSERT INTO memo (id) VALUES (?)\n",
		"INSERT INTO memo (id) VALUES (?);",
		"INSERT INTO memo (id) VALUES (?) ; \n",
		"INSERT INTO memo (id) VALUES (?) -- why",
		"INSERT INTO memo (id) VALUES (?) /* why */",
		"INSERT INTO memo (id) VALUES (?); -- why",
		"-- name: InsertMemo :exec\nINSERT INTO memo (id) VALUES (?)",
		"/* why; */ INSERT INTO memo (id) VALUES (?)",
		"insert into memo (id, body) values (?, 'it''s; COMMIT; -- a string')",
	} {
		var want []string
		var stmts []barrier.Stmt
		for j := range 3 {
			id := fmt.Sprintf("%02d-%d", i, j)
			stmts = append(stmts, memo(insert, id))
			want = append(want, id)
		}
		_, a := w.queueing(queued, stmts...)
		require.Equal(w.t, done, a.verdict(), "%q: %v", insert, a.err)
		require.Equal(w.t, want, w.memos(), insert)
		w.outside("DELETE FROM memo")
	}
}

// queueArgumentsAsInExec: an argument means the same in both forms of work,
// and can be nothing but an argument.
func queueArgumentsAsInExec(w *world) {
	args := []any{
		nil, true, false, 0, -1, int8(-8), int64(1) << 62, uint8(200), uint32(1) << 31, 1.5, -0.25, float32(0.5),
		"", "text", "ünï🂡", "it's", `back\slash`, `\`, `\'`, "'); COMMIT; --", "line\nline\r\x00\x1a", "?", "a?b", "%s",
		[]byte{},
		[]byte(nil), []byte("bytes"), everyByte(256),
		time.Date(2026, 2, 28, 23, 59, 59, 123456000, time.UTC),
		sql.NullString{},
		sql.NullString{String: "valid", Valid: true},
		sql.NullInt64{Int64: 5, Valid: true},
		strings.Repeat("long ' ", 10_000),
	}
	const insert = "INSERT INTO memo (id, body) VALUES (?, ?)"
	for i, arg := range args {
		a, b := fmt.Sprintf("%d-queued", i), fmt.Sprintf("%d-direct", i)
		br := w.branch(queued)
		w.want(done, w.deliverWork(br, tcc.Try, br.after(tcc.Try, func(ctx context.Context, tx barrier.Tx) error {
			if _, err := tx.ExecContext(ctx, insert, b, arg); err != nil {
				return err
			}
			tx.Queue(barrier.Stmt{Query: insert, Args: []any{a, arg}, Key: a, Rows: 1})
			return nil
		})))
		_, only := w.queueing(queued, barrier.Stmt{Query: insert, Args: []any{a + "2", arg}, Key: a, Rows: 1})
		w.want(done, only)
		require.Equal(w.t, w.memo(b), w.memo(a), "argument %d: %T %.40v", i, arg, arg)
		require.Equal(w.t, w.memo(b), w.memo(a+"2"), "argument %d: %T %.40v", i, arg, arg)
		if text, ok := arg.(string); ok {
			require.Equal(w.t, text, string(*w.memo(a)))
		}
	}
}

// memo reads what is in a row of table memo, nil if it is NULL.
func (w *world) memo(id string) *[]byte {
	w.t.Helper()
	var body []byte
	var null bool
	require.NoError(w.t, w.db.QueryRowContext(w.ctx, "SELECT body, body IS NULL FROM memo WHERE id = ?", id).Scan(&body, &null))
	if null {
		return nil
	}
	return &body
}

// queueOrderWithoutKeys: where one statement needs another's result, the
// branch leaves out the keys and keeps its order.
func queueOrderWithoutKeys(w *world) {
	for _, f := range mainForms {
		w.outside("INSERT INTO memo (id) VALUES ('a')")
		_, a := w.queueing(f,
			barrier.Stmt{Query: "UPDATE memo SET id = 'b' WHERE id = 'a'", Rows: 1},
			barrier.Stmt{Query: "INSERT INTO memo (id) VALUES ('a')", Rows: 1, Key: "a"},
			barrier.Stmt{Query: "DELETE FROM memo WHERE id = 'b'", Rows: 1},
		)
		w.want(done, a)
		require.Equal(w.t, []string{"a"}, w.memos())
		w.outside("DELETE FROM memo")
	}
}

func queueMany(w *world) {
	it := w.item(w.t, account, "a", 1000)
	lines := make([]line, 300)
	for i := range lines {
		lines[i] = line{it, 1}
	}
	b := w.branch(w.form, lines...)
	w.want(done, w.deliver(b, tcc.Try))
	require.Equal(w.t, row{available: 700, held: 300}, w.row(w.t, it))
	w.want(done, w.deliver(b, tcc.Confirm))
}

// queueBetweenDirectStatements: what is queued has run when the next direct
// statement looks, and a guard that failed there rejects as at the end.
func queueBetweenDirectStatements(w *world) {
	it := w.item(w.t, account, "a", 10)
	work := func(b *branch) barrier.Work {
		return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			e := b.entry(tcc.Try)
			if _, err := tx.ExecContext(ctx, e.Query, e.Args...); err != nil {
				return nil, err
			}
			for i := range b.lines {
				tx.Queue(b.stmt(b.lines[i], tcc.Try))
				var frozen int64
				if err := tx.QueryRowContext(ctx, "SELECT frozen FROM account WHERE id = ?", it.id).Scan(&frozen); err != nil {
					return nil, err
				}
				if want := int64(4 * (i + 1)); frozen != want {
					return nil, fmt.Errorf("%d are frozen after %d queued statements, want %d", frozen, i+1, want)
				}
			}
			return b.response, nil
		}
	}
	b := w.branch(queued, line{it, 4}, line{it, 4}, line{it, 4})
	w.want(rejected, w.deliverWork(b, tcc.Try, work(b)))
	w.wantState(barrier.Rejected, b)
	b = w.branch(queued, line{it, 4}, line{it, 4})
	w.want(done, w.deliverWork(b, tcc.Try, work(b)))
}
