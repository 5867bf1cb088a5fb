package inbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/inbox"
)

// TestOrdered shows a message that fails and stays in its place: refused, with
// its tries counted, also by another process.
func TestOrdered(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				return errors.Join(effect(msg.UUID)(ctx, tx), errors.New("no"))
			}, nil
		})
		cfg.Ordered, cfg.MaxTries = true, 3
		boxes := []*inbox.Inbox{g.open(cfg), g.open(cfg)}
		stop := run(t, boxes[0]) // has nothing to do with it
		for n := range 2 {
			require.ErrorContains(t, boxes[n%2].Handle(newMessage("a")), "stays in its place")
			row := g.row("a")
			require.Equal(t, inbox.Parked, row.State)
			require.Equal(t, n+1, row.Tries)
			require.Zero(t, row.Due)
		}
		require.NoError(t, boxes[0].Handle(newMessage("a")), "given up")
		require.Equal(t, inbox.Dead, g.row("a").State)
		require.NoError(t, boxes[1].Handle(newMessage("a")))
		require.Zero(t, g.effects("a"))
		stop()

		cfg.Handler = works
		box := g.open(cfg)
		require.Error(t, boxes[0].Handle(newMessage("b")))
		require.NoError(t, box.Handle(newMessage("b")))
		require.NoError(t, box.Handle(newMessage("b")))
		require.Equal(t, 1, g.effects("b"))
		require.Equal(t, 2, g.row("b").Tries)
	})
}

// TestOrderedDeadly shows a message in its place of whose work processes die: it
// is not run for ever.
func TestOrderedDeadly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var runs atomic.Int64
		cfg := g.config(func(context.Context, *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				if _, err := tx.ExecContext(ctx, "UPDATE inbox SET tries = tries"); err != nil { // a duplicate has no connection
					return err
				}
				runs.Add(1)
				return errors.New("no")
			}, nil
		})
		cfg.Ordered, cfg.MaxTries = true, 3
		box := g.open(cfg)
		require.Error(t, box.Handle(newMessage("a")))
		g.exec("UPDATE inbox SET tries = 3, claimed_by = 'killed'") // in its second and third try
		require.NoError(t, box.Handle(newMessage("a")), "given up")
		require.Equal(t, int64(1), runs.Load())
		row := g.row("a")
		require.Equal(t, inbox.Dead, row.State)
		require.Contains(t, row.LastError, "the process ended")
		require.Contains(t, row.LastError, "before that: no")
	})
}

// TestOrderedNoMore shows a consumer that was ordered before it was restarted,
// with messages in their place, and the other way round.
func TestOrderedNoMore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var healed atomic.Bool
		cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			if !healed.Load() {
				return nil, errors.New("no")
			}
			return effect(msg.UUID), nil
		})
		parks := g.open(cfg)
		cfg.Ordered = true
		ordered := g.open(cfg)
		require.Error(t, ordered.Handle(newMessage("a")))
		require.NoError(t, parks.Handle(newMessage("a")), "it is parked")
		require.NotZero(t, g.row("a").Due)
		require.NoError(t, ordered.Handle(newMessage("a")), "a duplicate")
		healed.Store(true)
		run(t, ordered)
		g.awaitState("a", inbox.Done)
		require.Equal(t, 1, g.effects("a"))
	})
}
