package sqlbranch

import (
	"context"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Group runs branches whose work only queued, many in one transaction. It is
// safe for concurrent use.
type Group interface {
	// Arrive notes that a delivery of b is running in this process, until
	// Leave, and reports whether it is the only one. Another may not Join: it
	// would wait for the first, and have its whole batch wait with it.
	Arrive(b tcc.Branch) (only bool)
	// Leave ends what Arrive began.
	Leave(b tcc.Branch)
	// Join runs a share in a batch and returns what became of it. When ctx
	// ends before the batch begins, the share is taken out and nothing
	// happens; when it ends later, Join returns ctx's error and the share is
	// finished without its caller.
	Join(ctx context.Context, s Share) (Verdict, error)
}

// Share is what one delivery contributes to a batch.
type Share struct {
	Call     barrier.Call
	Response []byte
	Stmts    []barrier.Stmt
	// After is called once the commit was acknowledged and the caller of Join
	// is no longer there to do so.
	After []func()
}

// Fate is what became of a share.
type Fate uint8

// The fates.
const (
	// Alone: nothing happened; the delivery must run in a transaction of its
	// own. So does whatever is not plain: a guard that failed among several
	// statements, a row that is locked, a statement that the database refuses.
	Alone Fate = iota
	// Committed: the business and the row are committed.
	Committed
	// Refused: the rejection is committed.
	Refused
	// Settled: the row was found in a terminal state that answers a Cancel.
	Settled
	// Taken: the row is in a state that forbids the phase or has done it
	// already, and must be read.
	Taken
)

// Verdict is what became of a share, with what its answer needs.
type Verdict struct {
	Fate      Fate
	Rejection *tcc.Rejection // Refused
	State     barrier.State  // Settled
}
