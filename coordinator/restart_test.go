package coordinator_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// DTM dies between Prepare and Submit: the Submit cannot be sent, so the
// transaction is not committed, and DTM cancels it when it is back.
func testKilledBeforeSubmit(t *testing.T, d *dtm) {
	d = d.own(t)
	conn := dial(t, d.GRPCAddr())
	p := newParticipant(t)
	c := newClient(t, conn, d.HTTPURL(), func(cfg *coordinator.Config) {
		cfg.SettleTimeout, cfg.RetryInterval = 200*time.Millisecond, 12*time.Second
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the time after which DTM gives up follows from it
	defer cancel()
	tx, err := c.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, d.Kill())
	awaitDisconnected(t, conn)
	err = tx.Commit(bounded(t))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, codes.Unavailable, grpcCode(err))

	_, err = c.Begin(bounded(t))
	var away *coordinator.UnavailableError
	require.ErrorAs(t, err, &away, "nothing is begun")

	require.NoError(t, d.Restart(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, []string{"01 try", "01 cancel"}, p.calls(tx.GID()))
}

// DTM dies after it has accepted the Submit, before anybody gets to know.
func testKilledAfterSubmit(t *testing.T, d *dtm) {
	d = d.own(t)
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL(), retryEverySecond, func(cfg *coordinator.Config) { cfg.SettleTimeout = 200 * time.Millisecond })
	release := p.hold(t, tcc.Confirm)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	f.on("Submit", func(_ context.Context, forward func() error) error {
		if err := forward(); err != nil {
			return err
		}
		if err := d.Kill(); err != nil {
			return err
		}
		return errLost
	})
	err := tx.Commit(bounded(t))
	var unknown *coordinator.UnknownError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, tx.GID(), unknown.GID)

	release()
	require.NoError(t, d.Restart(bounded(t)))
	info := awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.True(t, info.Status.Committed())
	require.NotEmpty(t, p.got(tx.GID(), tcc.Confirm))
	require.Empty(t, p.got(tx.GID(), tcc.Cancel))
	require.Equal(t, 1, f.count("Submit"))
}

// DTM comes back while Commit is finding out.
func testRestartedWhileSettling(t *testing.T, d *dtm) {
	d = d.own(t)
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL(), retryEverySecond, func(cfg *coordinator.Config) { cfg.SettleTimeout = bound })
	for name, accepted := range map[string]bool{"accepted": true, "not accepted": false} {
		tx := begin(t, c)
		require.NoError(t, tx.Try(bounded(t), p.branch("a")))
		f.on("Submit", func(_ context.Context, forward func() error) error {
			if accepted {
				if err := forward(); err != nil {
					return err
				}
			}
			if err := d.Kill(); err != nil {
				return err
			}
			return errLost
		})
		result := make(chan error, 1)
		go func() { result <- tx.Commit(bounded(t)) }()
		<-d.Done()
		require.NoError(t, d.Restart(bounded(t)))
		err := <-result
		if accepted {
			require.NoError(t, err, name)
			awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
			require.Empty(t, p.got(tx.GID(), tcc.Cancel))
			continue
		}
		var aborted *coordinator.AbortedError
		require.ErrorAs(t, err, &aborted, name)
		awaitStatus(t, c, tx.GID(), coordinator.Failed)
		require.Empty(t, p.got(tx.GID(), tcc.Confirm))
	}
}

func TestCoordinatorAway(t *testing.T) {
	t.Parallel()
	c, p := newClient(t, dial(t, refusing(t)), "http://"+refusing(t)), newParticipant(t)
	err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error { return tx.Try(ctx, p.branch("a")) })
	var away *coordinator.UnavailableError
	require.ErrorAs(t, err, &away)
	require.ErrorContains(t, err, away.GID)
	require.Equal(t, codes.Unavailable, grpcCode(err))
	require.Empty(t, p.got(away.GID))

	ended, cancel := context.WithCancel(bounded(t))
	cancel()
	_, err = c.Begin(ended)
	require.ErrorAs(t, err, &away)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, codes.Canceled, grpcCode(err))
}
