package database

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/tcckit/tcckit/tcc"
)

// attempts bounds how often a change is run that the server has undone for
// another one's sake.
const attempts = 10

// Transact runs work in a transaction, READ COMMITTED on MySQL, and again, a
// few times, when a deadlock, a lock wait or a lost connection has undone it.
// work may therefore run more than once; it must touch nothing but tx.
//
// An error that wraps tcc.ErrUnavailable says that nothing happened, or that
// the answer to COMMIT was lost. Any other error, work's own included, says
// that nothing happened.
func (d *DB) Transact(ctx context.Context, work func(ctx context.Context, tx *sql.Tx) error) error {
	return d.retry(ctx, func() error { return d.transactOnce(ctx, work) })
}

func (d *DB) transactOnce(ctx context.Context, work func(ctx context.Context, tx *sql.Tx) error) error {
	var opts *sql.TxOptions
	if d.dialect == MySQL {
		opts = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	tx, err := d.sql.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	// After a deadlock the server has ended the transaction already, and
	// after Commit there is none: both make this an error of no interest.
	defer func() { _ = tx.Rollback() }()
	if err := work(ctx, tx); err != nil {
		return err
	}
	err = tx.Commit()
	if classify(err) == lost || ctx.Err() != nil && err != nil {
		return &unknownError{err}
	}
	return err
}

// Exec runs one statement as a transaction of its own, with the repetitions
// and errors of [DB.Transact], and returns how many rows it changed.
func (d *DB) Exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	err = d.retry(ctx, func() error {
		res, err := d.sql.ExecContext(ctx, query, args...)
		if classify(err) == lost {
			return &unknownError{err}
		}
		if err != nil {
			return err
		}
		rows, err = res.RowsAffected()
		return err
	})
	return rows, err
}

// unknownError says that a commit may have happened or not. It is not
// repeated here: only the caller knows whether that is safe.
type unknownError struct{ cause error }

func (e *unknownError) Error() string {
	return "it is not known whether it was committed: " + e.cause.Error()
}
func (e *unknownError) Unwrap() []error { return []error{tcc.ErrUnavailable, e.cause} }

func (d *DB) retry(ctx context.Context, once func() error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.RandomizationFactor = 2*time.Millisecond, 100*time.Millisecond, 0.9
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := once()
		var unknown *unknownError
		if c := classify(err); err != nil && (errors.As(err, &unknown) || c != again && c != lost) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxTries(attempts))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	return Transient(err)
}
