package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/tcc"
)

// Try registers the branches with the coordinator, one after another in the
// order given, and then calls the Try of all of them at once. Several calls of
// Try run one after another: what one branch's Try answers may go into the
// next one's request.
//
// A Try that answers Unavailable, or that it is still working, is called again
// until ctx ends. Any other failure is final: no Try is repeated any more, the
// answers of those in flight are awaited, for a Cancel is best not sent into a
// running Try, and the transaction can only be aborted from then on; Commit
// refuses it.
//
// Errors: *[RejectedError] when a participant said no, the first in the order
// given if several did; *[AbortedError] otherwise, which wraps
// [tcc.ErrInvalid] when a branch is malformed or its request too large.
func (tx *Transaction) Try(ctx context.Context, branches ...Branch) (err error) {
	if err := tx.enter(); err != nil {
		return err
	}
	// Unless Try returns normally it has failed, also if it panics.
	finished := false
	defer func() {
		if !finished {
			err = &AbortedError{GID: tx.gid, Err: errors.New("a try did not finish")}
		}
		tx.leave(err)
	}()
	ready, err := tx.register(ctx, branches)
	if err == nil {
		err = tx.tryAll(ctx, ready)
	}
	finished = true
	return err
}

func (tx *Transaction) tryAll(ctx context.Context, branches []prepared) error {
	if len(branches) == 1 {
		return tx.failure(&branches[0], tx.try(ctx, ctx, &branches[0]))
	}
	retry, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(branches))
	var all sync.WaitGroup
	for i := range branches {
		all.Go(func() {
			if errs[i] = tx.try(ctx, retry, &branches[i]); errs[i] != nil {
				stop()
			}
		})
	}
	all.Wait()
	return tx.firstFailure(branches, errs)
}

// errStopped ends the attempts of a branch after another one failed.
var errStopped = errors.New("not repeated, another branch has failed")

// try calls the Try of one branch until it has a final answer. Calls are made
// on ctx; they are repeated only while retry lives.
func (tx *Transaction) try(ctx, retry context.Context, b *prepared) error {
	reply := b.Reply
	if reply == nil {
		reply = &emptypb.Empty{}
	}
	call := tx.outgoing(ctx, b)
	var p pace
	for {
		err := b.Conn.Invoke(call, b.Try, b.Request, reply)
		if err == nil {
			return nil
		}
		delay := pendingDelay
		switch status.Code(err) {
		case codes.FailedPrecondition:
		case codes.Unavailable:
			delay = p.next()
		default:
			return withContext(ctx, err)
		}
		switch {
		case wait(retry, delay):
		case ctx.Err() != nil:
			return withContext(ctx, err)
		case retry.Err() != nil:
			return fmt.Errorf("%w: %w", errStopped, err)
		default:
			return fmt.Errorf("%w: no time is left to ask again: %w", context.DeadlineExceeded, err)
		}
	}
}

// outgoing marks the calls of ctx as the branch's Try.
func (tx *Transaction) outgoing(ctx context.Context, b *prepared) context.Context {
	ctx = tcc.Outgoing(ctx, tcc.Branch{GID: tx.gid, ID: b.ID, Phase: tcc.Try, Method: b.Try}, tx.signature)
	if len(tx.headers) == 0 {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	for k, v := range tx.headers {
		md.Set(k, v)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// firstFailure picks what to report of several failures: a business no before
// a fault, a fault before what it stopped, then the order given.
func (tx *Transaction) firstFailure(branches []prepared, errs []error) error {
	var first error
	best := 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		rank := 2
		if _, ok := businessNo(err); ok {
			rank = 3
		} else if errors.Is(err, errStopped) {
			rank = 1
		}
		if rank > best {
			best, first = rank, tx.failure(&branches[i], err)
		}
	}
	return first
}

// failure makes the error of a Transaction from the error of a Try.
func (tx *Transaction) failure(b *prepared, err error) error {
	if err == nil {
		return nil
	}
	if r, ok := businessNo(err); ok {
		return &RejectedError{GID: tx.gid, BranchID: b.ID, Method: b.Try, Rejection: r}
	}
	if _, late := tcc.RejectionFrom(err); late {
		err = tx.abortedBy(err)
	}
	return &AbortedError{GID: tx.gid, BranchID: b.ID, Method: b.Try, Err: err}
}

// businessNo returns the rejection that err carries. A late try is none: the
// branch was cancelled before, so the transaction had been aborted.
func businessNo(err error) (*tcc.Rejection, bool) {
	r, ok := tcc.RejectionFrom(err)
	return r, ok && r.Reason != tcc.ReasonLateTry
}
