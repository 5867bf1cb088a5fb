package coordinator

import (
	"context"
	"errors"
	"fmt"
)

// Run runs f in a global transaction: it begins one, calls f, and commits when
// f returns nil, aborts otherwise, also when f panics, which goes on after the
// abort. ctx must have a deadline. f gets a context with the transaction's
// span, and must not call Commit or Abort.
//
// Errors: those of [Client.Begin] and [Transaction.Commit], or the error of f
// if it is one of this package's, otherwise an *[AbortedError] that wraps it.
// Nil means that the transaction is committed.
func (c *Client) Run(ctx context.Context, f func(ctx context.Context, tx *Transaction) error, opts ...BeginOption) error {
	tx, ctx, err := c.begin(ctx, opts)
	if err != nil {
		return err
	}
	// f may leave by panic or runtime.Goexit.
	returned := false
	defer func() {
		if !returned {
			_ = tx.Abort(ctx, "the initiator panicked") // logged there
		}
	}()
	err = f(ctx, tx)
	returned = true
	if err == nil {
		return tx.Commit(ctx)
	}
	return tx.giveUp(ctx, err)
}

// giveUp aborts because f failed with err, and returns what Run does.
func (tx *Transaction) giveUp(ctx context.Context, err error) error {
	if _, ended := tx.end(); ended != nil {
		return fmt.Errorf("%w; the function failed: %w", ended, err)
	}
	var (
		rejection *RejectedError
		failure   *AbortedError
	)
	// The errors of another transaction, begun by f, are not this one's.
	switch {
	case errors.As(err, &rejection) && rejection.GID == tx.gid:
	case errors.As(err, &failure) && failure.GID == tx.gid:
	default:
		err = &AbortedError{GID: tx.gid, Err: err}
	}
	_ = tx.abort(ctx, reasonOf(err), err) // logged there; the outcome is the same
	return err
}
