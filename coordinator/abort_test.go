package coordinator_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func testAbort(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	require.NoError(t, tx.Abort(bounded(t), "the customer went away"))
	info := awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, "the customer went away", info.Reason)
	require.Equal(t, []string{"02 cancel", "01 cancel"}, p.calls(tx.GID(), tcc.Confirm, tcc.Cancel))
	require.ErrorContains(t, tx.Commit(bounded(t)), "has ended")
	require.ErrorContains(t, tx.Abort(bounded(t), "again"), "has ended")
}

// An Abort whose answer is lost is repeated or found to be done; DTM's SQL
// store fails to repeat one within the same second.
func testAbortReplyLost(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL())
	for _, lost := range []fault{loseReply, loseRequest} {
		tx := begin(t, c)
		require.NoError(t, tx.Try(bounded(t), p.branch("a")))
		f.on("Abort", first(lost))
		require.NoError(t, tx.Abort(bounded(t), "no"))
		awaitStatus(t, c, tx.GID(), coordinator.Failed)
		require.NotEmpty(t, p.got(tx.GID(), tcc.Cancel))
		require.Empty(t, p.got(tx.GID(), tcc.Confirm))
	}
	tx := begin(t, c)
	f.on("Abort", func(_ context.Context, forward func() error) error {
		_ = forward()
		_ = forward() // within the same second
		return errLost
	})
	require.NoError(t, tx.Abort(bounded(t), "no"))
}

// Commit and Abort do their work although the caller's context has ended.
func testAbortContextEnded(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	ended, cancel := context.WithCancel(bounded(t))
	cancel()

	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Abort(ended, "gone"))
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, []string{"01 cancel"}, p.calls(tx.GID(), tcc.Confirm, tcc.Cancel))

	tx = begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	err := tx.Commit(ended)
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, codes.Canceled, grpcCode(err))
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, []string{"01 cancel"}, p.calls(tx.GID(), tcc.Confirm, tcc.Cancel))
}

// DTM's SQL store refuses an Abort whose reason does not fit its column.
func testAbortReason(t *testing.T, d *dtm) {
	c := d.client(t)
	for _, reason := range []string{"", strings.Repeat("x", 5000), strings.Repeat("ü", 2000), "a\x00b\xffc\nd", strings.Repeat("💥", 600)} {
		tx := begin(t, c)
		require.NoError(t, tx.Abort(bounded(t), reason), "%.20q", reason)
		info := awaitStatus(t, c, tx.GID(), coordinator.Failed)
		require.LessOrEqual(t, len(info.Reason), 512)
		require.True(t, utf8.ValidString(info.Reason))
		if reason != "" {
			require.Equal(t, reason[0] == 'x', strings.HasPrefix(info.Reason, "xxx"))
			require.NotEmpty(t, info.Reason)
		}
	}
}

func testAbortCommitted(t *testing.T, d *dtm) {
	f := newFlaky(t, d.GRPCAddr())
	c := newClient(t, dial(t, f.addr), d.HTTPURL())
	tx := begin(t, c)
	f.on("Abort", func(_ context.Context, forward func() error) error {
		request := proto2dtm(t, f.message(t, "Prepare"))
		if _, err := f.next.Submit(bounded(t), request); err != nil {
			return err
		}
		return forward()
	})
	err := tx.Abort(bounded(t), "no")
	require.ErrorContains(t, err, "committed by somebody else")
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
}

// An initiator that dies leaves the transaction to the coordinator, which
// cancels it some time after its deadline. A Commit that comes after that is
// no success.
func testTimeout(t *testing.T, d *dtm) {
	// DTM first looks at a transaction after its retry interval; this is when
	// its time is over, 1 s + 10 s.
	c, p := d.client(t, func(cfg *coordinator.Config) { cfg.RetryInterval = 12 * time.Second }), newParticipant(t)
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	untried, err := c.Begin(short())
	require.NoError(t, err)
	tried, err := c.Begin(short())
	require.NoError(t, err)
	require.NoError(t, tried.Try(bounded(t), p.branch("a"), p.branch("b")))
	started := time.Now()

	awaitStatus(t, c, untried.GID(), coordinator.Failed)
	info := awaitStatus(t, c, tried.GID(), coordinator.Failed)
	t.Logf("cancelled %s after the Try", time.Since(started).Round(time.Second))
	require.Contains(t, info.Reason, "Timeout after 11 seconds")
	require.Equal(t, []string{"02 cancel", "01 cancel"}, p.calls(tried.GID(), tcc.Confirm, tcc.Cancel))

	err = tried.Commit(bounded(t))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "its time was over")
	require.Equal(t, codes.DeadlineExceeded, grpcCode(err))
	err = untried.Try(bounded(t), p.branch("late"))
	require.ErrorAs(t, err, &aborted)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, p.got(untried.GID()), "a branch that is not registered must not be tried")
	require.NoError(t, untried.Abort(bounded(t), "done already"))
}

func testSettle(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	undecided := begin(t, c)
	require.NoError(t, undecided.Try(bounded(t), p.branch("a")))
	for range 2 {
		status, err := c.Settle(bounded(t), undecided.GID(), "its initiator died")
		require.NoError(t, err)
		require.True(t, status.Aborted())
	}
	info := awaitStatus(t, c, undecided.GID(), coordinator.Failed)
	require.Equal(t, "its initiator died", info.Reason)
	require.Equal(t, []string{"01 try", "01 cancel"}, p.calls(undecided.GID()))
	var aborted *coordinator.AbortedError
	err := undecided.Commit(bounded(t))
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, codes.Unavailable, grpcCode(err), "it may be tried again, under a new gid")

	decided := begin(t, c)
	require.NoError(t, decided.Commit(bounded(t)))
	status, err := c.Settle(bounded(t), decided.GID(), "not used")
	require.NoError(t, err)
	require.True(t, status.Committed())

	_, err = c.Settle(bounded(t), "never-begun", "")
	require.ErrorIs(t, err, coordinator.ErrNotFound)
	_, err = c.Settle(bounded(t), "", "")
	require.ErrorIs(t, err, tcc.ErrInvalid)
}
