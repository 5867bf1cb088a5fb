package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func testRejection(t *testing.T, d *dtm) {
	c, yes, no := d.client(t), newParticipant(t), newParticipant(t)
	no.answer(tcc.Try, tcc.Reject("INSUFFICIENT_STOCK", "only 2 left", map[string]string{"sku": "tea", "left": "2"}))
	var gid string
	err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
		gid = tx.GID()
		return tx.Try(ctx, yes.branch("a"), no.branch("b"))
	})
	var rejected *coordinator.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, &coordinator.RejectedError{GID: gid, BranchID: "02", Method: tryMethod, Rejection: &tcc.Rejection{
		Reason: "INSUFFICIENT_STOCK", Message: "only 2 left", Metadata: map[string]string{"sku": "tea", "left": "2"},
	}}, rejected)
	require.Equal(t, codes.FailedPrecondition, grpcCode(err))
	info := awaitStatus(t, c, gid, coordinator.Failed)
	require.Equal(t, tryMethod+" (branch 02) rejected: INSUFFICIENT_STOCK: only 2 left", info.Reason)
	require.Equal(t, []string{"01 try", "01 cancel"}, yes.calls(gid))
	require.Equal(t, []string{"02 try", "02 cancel"}, no.calls(gid))
}

// Each Try answers only when the other has been called.
func testParallelTry(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	meet := make(chan struct{})
	p.on(tcc.Try, func(ctx context.Context, _ delivery) error {
		select {
		case meet <- struct{}{}:
		case <-meet:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	})
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b"), p.branch("c"), p.branch("d")))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
}

// Unavailable and "still working" are asked again.
func testTryAskedAgain(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	p.answer(tcc.Try, tcc.Retry(errors.New("deadlock")), tcc.Pending("a person must look"), tcc.Retry(errors.New("deadlock")))
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"01 try", "01 try", "01 try", "01 try", "01 confirm"}, p.calls(tx.GID()))
}

// Whatever else a Try answers, the transaction is not committed.
func testTryFails(t *testing.T, d *dtm) {
	for _, code := range []codes.Code{
		codes.Canceled, codes.Unknown, codes.InvalidArgument, codes.DeadlineExceeded, codes.NotFound, codes.AlreadyExists,
		codes.PermissionDenied, codes.Unimplemented, codes.Internal, codes.DataLoss, codes.Unauthenticated,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			c, p := d.client(t), newParticipant(t)
			p.answer(tcc.Try, nil, status.Error(code, "as the test wants"))
			tx := begin(t, c)
			require.NoError(t, tx.Try(bounded(t), p.branch("a")))
			err := tx.Try(bounded(t), p.branch("b"))
			var aborted *coordinator.AbortedError
			require.ErrorAs(t, err, &aborted)
			require.Equal(t, "02", aborted.BranchID)
			require.Equal(t, code, status.Code(aborted.Err))
			require.Len(t, p.got(tx.GID(), tcc.Try), 2, "it is not asked again")
			require.ErrorAs(t, tx.Try(bounded(t), p.branch("c")), &aborted, "nothing is tried after a failure")
			// The initiator forgets to look at the error.
			require.Equal(t, err, tx.Commit(bounded(t)))
			awaitStatus(t, d.client(t), tx.GID(), coordinator.Failed)
			require.Equal(t, []string{"02 cancel", "01 cancel"}, p.calls(tx.GID(), tcc.Cancel, tcc.Confirm))
		})
	}
}

func testTryOutOfTime(t *testing.T, d *dtm) {
	for name, behave := range map[string]func(ctx context.Context, _ delivery) error{
		"hangs":    func(ctx context.Context, _ delivery) error { <-ctx.Done(); return ctx.Err() },
		"busy":     func(context.Context, delivery) error { return tcc.Retry(errors.New("deadlock")) },
		"pending":  func(context.Context, delivery) error { return tcc.Pending("for ever") },
		"no reply": func(ctx context.Context, _ delivery) error { <-ctx.Done(); return tcc.Retry(ctx.Err()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := d.client(t), newParticipant(t)
			p.on(tcc.Try, behave)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			var gid string
			err := c.Run(ctx, func(ctx context.Context, tx *coordinator.Transaction) error {
				gid = tx.GID()
				return tx.Try(ctx, p.branch("a"))
			})
			var aborted *coordinator.AbortedError
			require.ErrorAs(t, err, &aborted)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, codes.DeadlineExceeded, grpcCode(err))
			awaitStatus(t, c, gid, coordinator.Failed)
			require.Equal(t, []string{"01 cancel"}, p.calls(gid, tcc.Confirm, tcc.Cancel))
		})
	}
}

// When one Try has failed, another that is to be asked again is not, but the
// answer of a running one is awaited.
func testNoNewAttempts(t *testing.T, d *dtm) {
	c, fails, busy, slow := d.client(t), newParticipant(t), newParticipant(t), newParticipant(t)
	asked := make(chan struct{}, 100)
	busy.on(tcc.Try, func(context.Context, delivery) error {
		asked <- struct{}{}
		return tcc.Pending("for ever")
	})
	fails.on(tcc.Try, func(ctx context.Context, _ delivery) error {
		<-asked
		return errors.New("bug")
	})
	release := slow.hold(t, tcc.Try)
	tx := begin(t, c)
	result := make(chan error, 1)
	go func() { result <- tx.Try(bounded(t), busy.branch("a"), fails.branch("b"), slow.branch("c")) }()
	eventually(t, func() bool { return len(slow.got(tx.GID())) == 1 && len(fails.got(tx.GID())) == 1 }, "not all were tried")
	select {
	case err := <-result:
		t.Fatalf("a Try is running, yet: %v", err)
	case <-time.After(50 * time.Millisecond): // not to wait for something, but to give it the chance to go wrong
	}
	release()
	err := <-result
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, "02", aborted.BranchID, "the one that failed, not the one that gave up for it")
	n := len(busy.got(tx.GID()))
	require.NoError(t, tx.Abort(bounded(t), "failed"))
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Len(t, busy.got(tx.GID(), tcc.Try), n)
}

// Of several failures a business no is told first, then the first in the order
// given.
func TestWhichFailureIsTold(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c, bug, no := newClient(t, dial(t, s.grpcAddr), s.httpURL), newParticipant(t), newParticipant(t)
	bug.on(tcc.Try, func(context.Context, delivery) error { return errors.New("bug") })
	no.on(tcc.Try, func(_ context.Context, d delivery) error { return tcc.Reject("NO", d.request, nil) })
	err := begin(t, c).Try(bounded(t), bug.branch("a"), no.branch("b"), no.branch("c"))
	var rejected *coordinator.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, "02", rejected.BranchID)
	var rejection *tcc.Rejection
	require.ErrorAs(t, err, &rejection)
	require.Equal(t, "b", rejection.Message)

	err = begin(t, c).Try(bounded(t), bug.branch("a"), bug.branch("b"))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, "01", aborted.BranchID)
}

// A Try that comes after the Cancel was not refused by the business: the same
// work may be tried again under a new gid.
func TestLateTry(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c, p := newClient(t, dial(t, s.grpcAddr), s.httpURL), newParticipant(t)
	p.answer(tcc.Try, tcc.Reject(tcc.ReasonLateTry, "", nil))
	err := begin(t, c).Try(bounded(t), p.branch("a"))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.ErrorContains(t, err, "has aborted it already")
	require.Equal(t, "01", aborted.BranchID)
	require.Equal(t, codes.Unavailable, grpcCode(err))
}

// What a connection does with a call may panic; the transaction is then not
// committed.
func TestTryPanics(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c, p := newClient(t, dial(t, s.grpcAddr), s.httpURL), newParticipant(t)
	b := p.branch("a")
	b.Conn = panicking{}
	tx := begin(t, c)
	require.PanicsWithValue(t, "as the test wants", func() { _ = tx.Try(bounded(t), b) })
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, tx.Commit(bounded(t)), &aborted)
	require.Equal(t, coordinator.Failed, s.status(tx.GID()))
}

type panicking struct{ grpc.ClientConnInterface }

func (panicking) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	panic("as the test wants")
}
