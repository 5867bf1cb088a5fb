package coordinator

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

// Commit ends the transaction: nil means that the coordinator has durably
// decided to commit, and calls the Confirm of every branch until it succeeds.
// It does not mean that they have been called yet.
//
// If a Try has failed, is still running, or ctx has ended, Commit aborts
// instead and returns why. Submit is sent once; if it has no clear answer, what
// became of it is found out on a context of Commit's own, bounded by
// [Config.SettleTimeout], and the transaction is aborted if it is undecided.
//
// Errors: the *[RejectedError] or *[AbortedError] of the Try that failed;
// *[AbortedError] when it was aborted before or instead; *[UnknownError].
func (tx *Transaction) Commit(ctx context.Context) error {
	obstacle, err := tx.end()
	if err != nil {
		return err
	}
	if cause := contextError(ctx); obstacle == nil && cause != nil {
		obstacle = &AbortedError{GID: tx.gid, Err: cause}
	}
	if obstacle != nil {
		_ = tx.abort(ctx, reasonOf(obstacle), obstacle) // logged there; the outcome is the same
		return obstacle
	}

	guard := newOnce()
	_, err = tx.c.dtm.Submit(ctx, tx.request, guard.options()...)
	if err != nil {
		err = withContext(ctx, err)
		if tx.guarded && !guard.sent() {
			// It never left, so it cannot have been accepted.
			failed := &AbortedError{GID: tx.gid, Err: fmt.Errorf("the coordinator could not be reached to commit: %w", err)}
			_ = tx.abort(ctx, reasonOf(failed), failed)
			return failed
		}
		err = tx.settleSubmit(ctx, err)
	}
	tx.record(ctx, err)
	return err
}

// settleSubmit finds out what became of a Submit that was not answered with
// OK; submit is its error.
func (tx *Transaction) settleSubmit(ctx context.Context, submit error) error {
	tx.c.cfg.Logger.WarnContext(ctx, "submit has no clear answer", "gid", tx.gid, "error", submit)
	ctx, cancel := tx.c.settling(ctx)
	defer cancel()
	info, err := tx.c.settle(ctx, tx.gid, "submit had no clear answer: "+submit.Error())
	switch {
	case err != nil:
		tx.c.cfg.Logger.ErrorContext(ctx, "the outcome of a transaction is not known", "gid", tx.gid, "submit", submit, "error", err)
		return &UnknownError{GID: tx.gid, Err: fmt.Errorf("submit: %w; then: %w", submit, err)}
	case info.Status.Committed():
		return nil
	case status.Code(submit) == codes.Aborted:
		return &AbortedError{GID: tx.gid, Err: tx.abortedBy(submit)}
	default:
		return &AbortedError{GID: tx.gid, Err: fmt.Errorf("%w: submit had no clear answer and no effect: %w", tcc.ErrUnavailable, submit)}
	}
}
