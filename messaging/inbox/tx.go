package inbox

import (
	"context"
	"database/sql"
	"log/slog"

	"github.com/tcckit/tcckit/messaging"
)

var (
	_ messaging.Tx        = (*Tx)(nil)
	_ messaging.Committer = (*Tx)(nil)
)

// Tx is the transaction that holds the inbox row and the work of a message. It
// is valid only inside the work that received it.
//
// Its four methods of database/sql are those that sqlc calls DBTX, so sqlc,
// sqlx, bun, gorm and ent can work on it, and an outbox can write in it. It has no
// Commit and no Rollback: the inbox commits when the work returns nil. After an
// error for which the server has ended the transaction, such as a deadlock, every
// use fails and so does the try, even if the work ignores the error: what
// followed would be committed statement by statement.
type Tx struct {
	tx       *sql.Tx
	rollback func() error
	ended    error
	after    []func()
}

// ExecContext is that of *sql.Tx.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	res, err := t.tx.ExecContext(ctx, query, args...)
	return res, t.note(err)
}

// PrepareContext is that of *sql.Tx. The work must return the errors of the
// statement's own methods.
func (t *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	stmt, err := t.tx.PrepareContext(ctx, query)
	return stmt, t.note(err)
}

// QueryContext is that of *sql.Tx.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	return rows, t.note(err)
}

// QueryRowContext is that of *sql.Tx.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	row := t.tx.QueryRowContext(ctx, query, args...)
	_ = t.note(row.Err())
	return row
}

// AfterCommit registers f to run once the commit was acknowledged. It does not
// run for a duplicate or an error, and may be lost in a crash: it is for
// wake-ups, not for work.
func (t *Tx) AfterCommit(f func()) { t.after = append(t.after, f) }

// note ends the transaction here too, if err says that the server has.
func (t *Tx) note(err error) error {
	if c := classify(err); t.ended == nil && (c == undone || c == away) {
		t.ended = err
		_ = t.rollback() // from now on a use is sql.ErrTxDone
	}
	return err
}

// committed runs what waits for the commit. That was acknowledged, so a panic
// must not make a failure of it.
func (t *Tx) committed(ctx context.Context, log *slog.Logger) {
	for _, f := range t.after {
		if err := guard(ctx, log, func() error { f(); return nil }); err != nil {
			log.ErrorContext(ctx, "inbox: after a commit", "error", err)
		}
	}
}
