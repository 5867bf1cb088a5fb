package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// bad is a handler that gives everything up, until healed.
type bad struct{ healed atomic.Bool }

func (b *bad) handle(_ context.Context, msg *message.Message) (inbox.Work, error) {
	if !b.healed.Load() {
		return nil, messaging.Permanent(errors.New("it cannot be read"))
	}
	return effect(msg.UUID), nil
}

// TestDeadLettersAway shows that a message is dead and visible although nobody
// takes its dead letter, and that others are not held up.
func TestDeadLettersAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var tried atomic.Int32
		dead := &letters{err: messaging.Unavailable(errors.New("no route")), hook: func(m *message.Message) {
			if tried.Add(1); m.UUID == "panics" && tried.Load() < 20 {
				panic("the publisher panics")
			}
		}}
		cfg := g.config(func(ctx context.Context, msg *message.Message) (inbox.Work, error) {
			if msg.UUID == "good" {
				return works(ctx, msg)
			}
			return new(bad).handle(ctx, msg)
		})
		cfg.DeadLetters = dead
		box := g.open(cfg)
		run(t, box)
		require.NoError(t, box.Handle(newMessage("a")))
		require.NoError(t, box.Handle(newMessage("panics")))
		require.NoError(t, box.Handle(newMessage("good")))
		eventually(t, "several attempts", func() bool { return tried.Load() > 10 })
		row := g.row("a")
		require.Equal(t, inbox.Dead, row.State)
		require.False(t, row.Due.IsZero())
		require.Equal(t, inbox.Done, g.row("good").State)
		dead.fail(nil)
		for _, id := range []string{"a", "panics"} {
			g.awaitState(id, inbox.Dead)
			require.Len(t, dead.of(id), 1)
		}
	})
}

// TestReplay gives a dead message all its tries again.
func TestReplay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var h bad
		dead := new(letters)
		cfg := g.config(h.handle)
		cfg.DeadLetters = dead
		box := g.open(cfg)
		replay := func(ids ...string) int {
			n, err := inbox.Replay(t.Context(), g.db, g.kind.dialect(), "test", ids...)
			require.NoError(t, err)
			return n
		}
		stop := run(t, box)
		require.NoError(t, box.Handle(newMessage("a")))
		g.awaitState("a", inbox.Dead)
		require.Equal(t, 1, replay("a"))
		eventually(t, "it to be dead again", func() bool { return len(dead.of("a")) == 2 })
		g.awaitState("a", inbox.Dead)
		stop()

		require.Equal(t, 1, replay("a", "unknown"))
		require.Equal(t, inbox.Parked, g.row("a").State)
		require.Zero(t, g.row("a").Tries)
		require.Equal(t, 1, replay("a"), "what is parked is due at once")
		h.healed.Store(true)
		run(t, box)
		row := g.awaitState("a", inbox.Done)
		require.Equal(t, 1, row.Tries)
		require.Zero(t, replay("a"), "it is done")
		require.NoError(t, box.Handle(newMessage("a")))
		require.Equal(t, 1, g.effects("a"))
	})
}

// TestReplayWhileItRuns replays a message that a process is at: the claim is
// lost, and its work with it, or it was first.
func TestReplayWhileItRuns(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var runs atomic.Int32
		box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			switch runs.Add(1) {
			case 1:
				return nil, errors.New("parked")
			case 2:
				if _, err := inbox.Replay(t.Context(), g.db, g.kind.dialect(), "test", msg.UUID); err != nil {
					t.Error(err)
				}
			}
			return effect(msg.UUID), nil
		}))
		require.NoError(t, box.Handle(newMessage("a")))
		run(t, box)
		g.awaitState("a", inbox.Done)
		require.EqualValues(t, 3, runs.Load())
		require.Equal(t, 1, g.effects("a"))
	})
}

// TestList goes through dead and parked rows in pages, and shows one.
func TestList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		for _, consumer := range []string{"test", "other"} {
			cfg := g.config(func(ctx context.Context, msg *message.Message) (inbox.Work, error) {
				switch msg.UUID[:1] {
				case "d":
					return nil, messaging.Permanent(errors.New("dead"))
				case "p":
					return nil, errors.New("parked")
				}
				return works(ctx, msg)
			})
			cfg.Consumer = consumer
			box := g.open(cfg)
			for n := range 3 {
				for _, state := range []string{"d", "p", "x"} {
					msg := newMessage(fmt.Sprint(state, n))
					msg.Metadata.Set("k", "v")
					require.NoError(t, box.Handle(msg))
				}
			}
		}
		list := func(o inbox.ListOptions) (ids []string) {
			rows, err := inbox.List(t.Context(), g.db, g.kind.dialect(), o)
			require.NoError(t, err)
			for _, r := range rows {
				ids = append(ids, r.Consumer+" "+r.MessageID)
				require.Nil(t, r.Payload)
			}
			return ids
		}
		all := []string{"other d0", "other d1", "other d2", "other p0", "other p1", "other p2", "test d0", "test d1", "test d2", "test p0", "test p1", "test p2"}
		require.Equal(t, all, list(inbox.ListOptions{}))
		require.Equal(t, all[6:9], list(inbox.ListOptions{Consumer: "test", States: []inbox.State{inbox.Dead}}))
		require.Equal(t, all[5:7], list(inbox.ListOptions{Limit: 2, After: inbox.Row{Consumer: "other", MessageID: "p1"}}))
		require.Equal(t, []string{"test x0"}, list(inbox.ListOptions{Consumer: "test", States: []inbox.State{inbox.Done}, Limit: 1}))

		row := g.row("d0")
		require.Equal(t, "dead", row.LastError)
		require.EqualValues(t, "payload of d0", row.Payload)
		require.EqualValues(t, len(row.Payload), row.Size)
		require.Equal(t, map[string]string{"k": "v"}, row.Metadata)
		require.Equal(t, 1, row.Tries)
		require.WithinDuration(t, time.Now(), row.Received, time.Minute)
		_, err := inbox.Get(t.Context(), g.db, g.kind.dialect(), "test", "unknown")
		require.ErrorIs(t, err, inbox.ErrNotFound)
	})
}
