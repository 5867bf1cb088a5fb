// Package queued lets a library that runs its changes queue them instead.
package queued

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"github.com/tcckit/tcckit/barrier"
)

// On returns tx with an ExecContext that queues, so that a branch takes two
// round trips and can share them with others. Each change is queued as guard
// with the change's Query and Args, and must affect guard's Rows.
//
// What it returns says that the change is done and affected guard's Rows: if
// that turns out to be wrong, nothing of the branch persists. It knows no
// generated keys. A change whose text holds a question mark that stands for
// no argument is refused.
func On(tx barrier.Tx, guard barrier.Stmt) barrier.Tx { return queue{tx, guard} }

type queue struct {
	barrier.Tx
	guard barrier.Stmt
}

// ExecContext implements barrier.Tx.
func (q queue) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	s := q.guard
	s.Query, s.Args = query, args
	q.Queue(s)
	return driver.RowsAffected(s.Rows), nil
}
