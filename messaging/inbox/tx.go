package inbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"slices"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

var (
	_ messaging.Tx        = (*Tx)(nil)
	_ messaging.Committer = (*Tx)(nil)
)

// Tx is the transaction that holds the inbox row and the work of a message. It
// is valid only inside the work that received it, and for one goroutine at a
// time.
//
// Its four methods of database/sql are those that sqlc calls DBTX, so sqlc,
// sqlx, bun, gorm and ent can work on it, and an outbox can write in it. It has no
// Commit and no Rollback: the inbox commits when the work returns nil. After an
// error for which the server has ended the transaction, such as a deadlock, every
// use fails and so does the try, even if the work ignores the error: what
// followed would be committed statement by statement.
//
// It is not a *sql.Tx, for that takes a round trip for BEGIN alone, and waits for
// the answer to COMMIT without end.
type Tx struct {
	conn *sql.Conn
	// opening is what the transaction begins with, until it was sent.
	opening *opening
	// refused is why the transaction could not begin; together: when a
	// statement of the work went with it.
	refused  error
	together bool
	// keep stops what severs the connection at the end of the try's time, or
	// reports that it has begun.
	keep  func() bool
	done  bool
	ended error
	after []func()
	open  []func() // close what queries have left open
}

// ExecContext is that of *sql.Tx.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if res, sent, err := t.beginWith(ctx, query, args); sent {
		return res, err
	}
	res, err := t.conn.ExecContext(ctx, query, args...)
	return res, t.note(err)
}

// PrepareContext is that of *sql.Tx. The work must return the errors of the
// statement's own methods.
func (t *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	t.begin(ctx)
	stmt, err := t.conn.PrepareContext(ctx, query)
	if err == nil {
		t.open = append(t.open, func() { _ = stmt.Close() })
	}
	return stmt, t.note(err)
}

// QueryContext is that of *sql.Tx.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	t.begin(ctx)
	rows, err := t.conn.QueryContext(ctx, query, args...)
	if err == nil {
		t.open = append(t.open, func() { _ = rows.Close() })
	}
	return rows, t.note(err)
}

// QueryRowContext is that of *sql.Tx.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	t.begin(ctx)
	row := t.conn.QueryRowContext(ctx, query, args...)
	// Only Scan closes a row, whatever it scans.
	t.open = append(t.open, func() { _ = row.Scan() })
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
		_ = t.end("ROLLBACK") // from now on a use is sql.ErrConnDone
	}
	return err
}

// endTimeout bounds COMMIT and ROLLBACK, which do not end with the try: half
// done they would leave open what happened.
const endTimeout = 5 * time.Second

// end sends COMMIT or ROLLBACK, once, and gives the connection back: to the pool
// only if the server has acknowledged it, for the pool's next user must not find
// himself in this transaction.
func (t *Tx) end(statement string) error {
	if t.done {
		return sql.ErrTxDone
	}
	t.done = true
	defer func() { _ = t.conn.Close() }()
	if t.keep != nil && !t.keep() {
		t.sever() // also here, for Close may be faster than who began it
		return sql.ErrTxDone
	}
	for _, closes := range slices.Backward(t.open) { // rows before their statement
		closes()
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_, err := t.conn.ExecContext(ctx, statement)
	if err != nil {
		t.sever()
	}
	return err
}

// sever closes the connection, and the server undoes the transaction. It may be
// called while the work uses it.
func (t *Tx) sever() {
	_ = t.conn.Raw(func(any) error { return driver.ErrBadConn })
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
