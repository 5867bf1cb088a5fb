package sqlbranch

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/tcckit/tcckit/barrier"
)

// tx implements barrier.Tx on a guard.
type tx struct {
	guard  *guard
	queued []barrier.Stmt
	after  []func()
	// queueErr is the first malformed statement, or a use of Queue where
	// there is none.
	queueErr error
	readOnly bool
}

// ExecContext implements barrier.Tx.
func (t *tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if t.readOnly {
		return nil, t.guard.done(fmt.Errorf("%w: Otherwise may only read", errRefused))
	}
	if res, sent, err := t.guard.execFirst(ctx, query, args); sent {
		return res, err
	}
	res, err := t.pool(ctx).ExecContext(ctx, query, args...)
	return res, t.guard.done(err)
}

// PrepareContext implements barrier.Tx.
func (t *tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.readOnly {
		return nil, t.guard.done(fmt.Errorf("%w: Otherwise may only read, by Query", errRefused))
	}
	stmt, err := t.pool(ctx).PrepareContext(ctx, query)
	return stmt, t.guard.done(err)
}

// QueryContext implements barrier.Tx.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.pool(ctx).QueryContext(ctx, query, args...)
	return rows, t.guard.done(err)
}

// QueryRowContext implements barrier.Tx.
func (t *tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	row := t.pool(ctx).QueryRowContext(ctx, query, args...)
	_ = t.guard.done(row.Err())
	return row
}

// pool runs what is queued and returns what work's statement runs on. What fails
// there before it comes to the guard, such as an argument that the driver does
// not take, the caller reports to it.
func (t *tx) pool(ctx context.Context) *sql.DB {
	if len(t.queued) > 0 {
		t.guard.flush(ctx)
	}
	return t.guard.pool()
}

// Queue implements barrier.Tx.
func (t *tx) Queue(s barrier.Stmt) {
	if t.queueErr != nil {
		return
	}
	if t.readOnly {
		t.queueErr = fmt.Errorf("%w: Otherwise may only read", errRefused)
		return
	}
	query, refers, err := t.guard.syntax.readStatement(s.Query, mayQueue)
	if err != nil {
		t.queueErr = err
		return
	}
	if refers {
		s.Key = "" // sorted, it would refer to another branch's
	}
	s.Query = query // what is behind it would swallow the next one
	if n := strings.Count(s.Query, "?"); n != len(s.Args) {
		t.queueErr = fmt.Errorf("%w: it has %d question marks and %d arguments; a literal question mark must be an argument", errRefused, n, len(s.Args))
		return
	}
	if s.Rows < 0 {
		t.queueErr = fmt.Errorf("%w: it must affect %d rows", errRefused, s.Rows)
		return
	}
	t.queued = append(t.queued, s)
}

// AfterCommit implements barrier.Tx.
func (t *tx) AfterCommit(f func()) { t.after = append(t.after, f) }

// take returns what is queued, in the order in which it must run, and empties
// the queue.
func (t *tx) take() []barrier.Stmt {
	stmts := t.queued
	t.queued = nil
	if slices.ContainsFunc(stmts, func(s barrier.Stmt) bool { return s.Key == "" }) {
		return stmts
	}
	slices.SortStableFunc(stmts, func(a, b barrier.Stmt) int { return CompareStmts(&a, &b) })
	return stmts
}

// CompareStmts orders statements by the rows that they lock. The key comes
// first: a try and a confirm of one row are different queries, and sorted by
// query two transactions would take two rows in opposite orders.
func CompareStmts(a, b *barrier.Stmt) int {
	if a.Key != b.Key {
		return strings.Compare(a.Key, b.Key)
	}
	return strings.Compare(a.Query, b.Query)
}
