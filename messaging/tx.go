package messaging

import (
	"context"
	"database/sql"
)

// Tx is a local transaction: a *sql.Tx, a barrier.Tx or what an inbox gives to
// the work of a message.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Committer is a Tx that tells when it was committed. A *sql.Tx does not.
type Committer interface {
	// AfterCommit registers f to run once the commit was acknowledged. It may
	// be lost in a crash: it is for wake-ups, not for work.
	AfterCommit(f func())
}
