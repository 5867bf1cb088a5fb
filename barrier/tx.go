package barrier

import (
	"context"
	"database/sql"
)

// Tx is the local transaction that holds the barrier row and the business
// change. It is valid only inside the work function that received it, and
// for one goroutine at a time.
//
// Its four methods of database/sql are those that sqlc calls DBTX, so sqlc,
// sqlx, bun, gorm and ent can work on it. It refuses statements that would
// end or escape the transaction (BEGIN, COMMIT, ROLLBACK, SAVEPOINT, SET, LOCK,
// DDL and the like), several statements in one call, and any use after its
// end. A statement that fails, even if the work ignores it, fails the branch:
// nothing of it persists. Rows must be closed before the work returns.
//
// [Tx.Queue] is the fast form of work. A branch that only queues costs two
// round trips, and holds no connection while its work function runs. Work that
// begins with an Exec saves a round trip too: the barrier row goes with it.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row

	// Queue adds a statement that runs after the work function has returned,
	// or before the transaction's next Exec, Query or Prepare. A malformed
	// statement is reported when the branch runs.
	Queue(Stmt)
	// AfterCommit registers f to run once the commit was acknowledged. It
	// does not run for a duplicate, a rejection or an error, and it may be
	// lost in a crash: it is for wake-ups, not for work.
	AfterCommit(f func())
}

// Stmt is one queued statement with the number of rows that it must affect.
type Stmt struct {
	// Query is a single INSERT, UPDATE, DELETE or REPLACE with ? for
	// arguments. A literal question mark must be passed as an argument.
	Query string
	Args  []any
	// Key names the row that the statement locks, such as the account's id.
	// When every queued statement of a branch has a Key, they run sorted by
	// Key and Query, so that two branches that touch the same rows in another
	// order do not deadlock. Without keys they run as queued. One that refers to
	// the statement before it (LAST_INSERT_ID, a variable) counts as without.
	Key string
	// Rows is how many rows the statement must affect. Fewer is a failed
	// guard and calls Otherwise; more is a bug and fails the branch. Note
	// that MySQL does not count a row that already has the values assigned.
	Rows int64
	// Otherwise says why the guard failed, usually with tcc.Reject. It runs
	// after everything that the branch did was rolled back, may only read,
	// and must return an error. Nil, like a failed guard in Confirm or Cancel,
	// makes it an internal error.
	Otherwise func(ctx context.Context, tx Tx) error
}

// Work is what a branch does to its database. It may run more than once, when
// a deadlock or a lost connection makes the store start over, and must touch
// nothing but its Tx. The bytes are a Try's response; the other phases return
// nil.
type Work func(ctx context.Context, tx Tx) ([]byte, error)
