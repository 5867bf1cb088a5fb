package sqlbranch

import (
	"context"
	"database/sql"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Entry is how a delivery's transaction began.
type Entry uint8

// The entries.
const (
	// Entered: the transaction is open, the barrier row is in the phase's
	// state, and the business may run.
	Entered Entry = iota + 1
	// Remembered: an empty cancel was committed. The session is at its end.
	Remembered
	// Elsewhere: the row's state forbids the phase, or is not what it was
	// expected to be. The transaction is rolled back; the row must be read.
	Elsewhere
)

// OneByOne is Session.Run of a stepwise session, given how it runs one
// statement.
func OneByOne(stmts []barrier.Stmt, run func(s barrier.Stmt) (count int64, err error)) (counts []int64, err error) {
	for _, s := range stmts {
		n, err := run(s)
		if err != nil {
			return nil, err
		}
		if counts = append(counts, n); n < s.Rows {
			break
		}
	}
	return counts, nil
}

// Session is one database transaction of one delivery. Its methods are called
// in the order Enter or EnterWith, then Run and Undo any number of times, then one of
// Reject and Commit; Close is called last, always.
type Session interface {
	// Enter begins the transaction, brings the barrier row into the phase's
	// state, sets a savepoint and runs stmts. response is stored with a Try's
	// row. counts are the rows that each of stmts changed.
	Enter(ctx context.Context, response []byte, stmts []barrier.Stmt) (e Entry, counts []int64, err error)
	// EnterWith is Enter with a direct statement of the work, an INSERT, UPDATE,
	// DELETE or REPLACE, in the same round trip. sent is false, and nothing has
	// happened, if the session has them apart.
	EnterWith(ctx context.Context, stmt barrier.Stmt) (e Entry, res sql.Result, sent bool, err error)
	// Syntax is how the database writes statements.
	Syntax() Syntax
	// Alive reports whether the transaction is as it was before the statement
	// that failed with err, so that it may still be ended by a commit.
	Alive(err error) bool
	// Lease is the connection of the transaction.
	Lease() *Lease
	// Run runs statements in the transaction. A stepwise session ends, with
	// counts so far, at one that changed fewer rows than it must.
	Run(ctx context.Context, stmts []barrier.Stmt) (counts []int64, err error)
	// Undo rolls back to the savepoint.
	Undo(ctx context.Context) error
	// Reject rolls back to the savepoint, marks the row as rejected and
	// commits.
	Reject(ctx context.Context, r *tcc.Rejection) error
	// Commit stores a response that Enter was not given, if there is one, and
	// commits.
	Commit(ctx context.Context, response []byte) error
	// Close ends the transaction if it is open and gives the connection back.
	Close()
}
