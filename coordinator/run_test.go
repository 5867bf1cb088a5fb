package coordinator_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func testRun(t *testing.T, d *dtm) {
	c := d.client(t)
	t.Run("commits", func(t *testing.T) {
		t.Parallel()
		p := newParticipant(t)
		var gid string
		require.NoError(t, c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
			gid = tx.GID()
			return tx.Try(ctx, p.branch("a"), p.branch("b"))
		}))
		awaitStatus(t, c, gid, coordinator.Succeeded)
		require.Equal(t, []string{"02 confirm", "01 confirm"}, p.calls(gid, tcc.Confirm, tcc.Cancel))
	})

	errOwn := errors.New("the initiator's own error")
	for name, f := range map[string]func() error{
		"own error": func() error { return errOwn },
		"panic":     func() error { panic(errOwn) },
		"goexit":    func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newParticipant(t)
			var gid string
			type result struct{ err, panicked any }
			results := make(chan result, 1)
			go func() {
				var r result
				defer func() {
					r.panicked = recover()
					results <- r
				}()
				if err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
					gid = tx.GID()
					if err := tx.Try(ctx, p.branch("a")); err != nil {
						return err
					}
					return f()
				}); err != nil {
					r.err = err
				}
			}()
			r := <-results
			switch name {
			case "own error":
				err, _ := r.err.(error)
				require.ErrorIs(t, err, errOwn)
				var aborted *coordinator.AbortedError
				require.ErrorAs(t, err, &aborted)
				require.Equal(t, gid, aborted.GID)
			case "panic":
				require.Equal(t, errOwn, r.panicked)
			}
			awaitStatus(t, c, gid, coordinator.Failed)
			require.Equal(t, []string{"01 try", "01 cancel"}, p.calls(gid))
		})
	}

	t.Run("forgotten error", func(t *testing.T) {
		t.Parallel()
		p := newParticipant(t)
		p.answer(tcc.Try, tcc.Reject("NO", "", nil))
		var gid string
		err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
			gid = tx.GID()
			_ = tx.Try(ctx, p.branch("a"))
			return nil
		})
		var rejected *coordinator.RejectedError
		require.ErrorAs(t, err, &rejected)
		awaitStatus(t, c, gid, coordinator.Failed)
		require.Empty(t, p.got(gid, tcc.Confirm))
	})
}

func TestRunNeedsADeadline(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c := newClient(t, dial(t, s.grpcAddr), s.httpURL)
	err := c.Run(t.Context(), func(context.Context, *coordinator.Transaction) error { panic("not to be called") })
	require.ErrorIs(t, err, tcc.ErrInvalid)
	require.ErrorContains(t, err, "no deadline")
	_, err = c.Begin(t.Context())
	require.ErrorContains(t, err, "no deadline")
}

// The error of a transaction inside another one is not the outer one's.
func TestRunInRun(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c, p := newClient(t, dial(t, s.grpcAddr), s.httpURL), newParticipant(t)
	p.answer(tcc.Try, tcc.Reject("NO", "", nil))
	var outer, inner string
	err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
		outer = tx.GID()
		return c.Run(ctx, func(ctx context.Context, tx *coordinator.Transaction) error {
			inner = tx.GID()
			return tx.Try(ctx, p.branch("a"))
		})
	})
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, outer, aborted.GID)
	var rejected *coordinator.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, inner, rejected.GID)
	require.Equal(t, coordinator.Failed, s.status(outer))
	require.Equal(t, coordinator.Failed, s.status(inner))
}

// Run's function must not end the transaction; if it does, the end stands.
func TestRunFunctionEndsTheTransaction(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c := newClient(t, dial(t, s.grpcAddr), s.httpURL)
	for _, own := range []error{nil, errors.New("own")} {
		var gid string
		err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
			gid = tx.GID()
			require.NoError(t, tx.Commit(ctx))
			return own
		})
		require.ErrorContains(t, err, "has ended")
		if own != nil {
			require.ErrorIs(t, err, own)
		}
		require.Equal(t, coordinator.Succeeded, s.status(gid))
	}
}

func TestCommitWhileATryRuns(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c, p := newClient(t, dial(t, s.grpcAddr), s.httpURL), newParticipant(t)
	release := p.hold(t, tcc.Try)
	tx := begin(t, c)
	tried := make(chan error, 1)
	go func() { tried <- tx.Try(bounded(t), p.branch("a")) }()
	eventually(t, func() bool { return len(p.got(tx.GID())) == 1 }, "no Try")
	err := tx.Commit(bounded(t))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.ErrorContains(t, err, "while a try was running")
	require.Equal(t, coordinator.Failed, s.status(tx.GID()))
	release()
	<-tried
}
