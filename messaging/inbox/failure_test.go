package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// TestParked shows what becomes of a message that fails for a while: what it
// did is undone, and it is tried again with all that it holds.
func TestParked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		payload := []byte{0, 1, 0xff, '\'', '\\', '%', '?', 0x80}
		var runs atomic.Int32
		box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			n := runs.Add(1)
			if string(msg.Payload) != string(payload) || msg.Metadata.Get("k") != "v \"'é\n" || msg.UUID != "a" {
				return nil, messaging.Permanent(fmt.Errorf("another message: %v", msg))
			}
			switch n {
			case 1:
				return nil, errors.New("the handler fails")
			case 2:
				panic("the handler panics")
			}
			return func(ctx context.Context, tx *inbox.Tx) error {
				if err := effect("a")(ctx, tx); err != nil {
					return err
				}
				switch n {
				case 3:
					return errors.New("the work fails\x00\xff")
				case 4:
					panic("the work panics")
				}
				return nil
			}, nil
		}))
		msg := message.NewMessage("a", payload)
		msg.Metadata.Set("k", "v \"'é\n")
		require.NoError(t, box.Handle(msg), "it is acknowledged")
		row := g.row("a")
		require.Equal(t, inbox.Parked, row.State)
		require.Equal(t, "the handler fails", row.LastError)
		require.Equal(t, "topic", row.Topic)
		require.Equal(t, payload, row.Payload)
		require.NoError(t, box.Handle(msg), "a duplicate")
		require.EqualValues(t, 2, runs.Load(), "the handler is asked, but nothing comes of it")
		require.Equal(t, row, g.row("a"))

		runs.Store(1)
		run(t, box)
		row = g.awaitState("a", inbox.Done)
		require.Equal(t, 1, g.effects("a"))
		require.Equal(t, 5, row.Tries)
		require.Empty(t, row.Payload)
		require.Contains(t, row.LastError, "panic: the work panics")
	})
}

// TestAlwaysFails shows that tries are bounded, and the dead letter.
func TestAlwaysFails(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var runs atomic.Int32
		dead := new(letters)
		cfg := g.config(func(context.Context, *message.Message) (inbox.Work, error) {
			return nil, fmt.Errorf("failure\n%d", runs.Add(1))
		})
		cfg.MaxTries, cfg.DeadLetters = 3, dead
		box := g.open(cfg)
		run(t, box)
		msg := newMessage("a")
		msg.Metadata.Set("k", "v")
		messaging.SetDelay(msg, time.Minute)
		require.NoError(t, box.Handle(msg))
		row := g.awaitState("a", inbox.Dead)
		require.Equal(t, 3, row.Tries)
		require.Equal(t, "failure\n3", row.LastError)
		require.EqualValues(t, 3, runs.Load())
		require.Len(t, dead.of("a"), 1)
		letter := dead.of("a")[0]
		require.EqualValues(t, "payload of a", letter.Payload)
		require.Equal(t, message.Metadata{
			"k": "v", messaging.MetadataReason: "failure 3", messaging.MetadataTries: "3",
			messaging.MetadataConsumer: "test", messaging.MetadataTopic: "topic",
		}, letter.Metadata)
	})
}

// TestUnavailable shows that what is nobody's fault does not count, up to an
// age.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var runs atomic.Int32
		cfg := g.config(func(context.Context, *message.Message) (inbox.Work, error) {
			runs.Add(1)
			return nil, messaging.Unavailable(errors.New("the warehouse is closed"))
		})
		cfg.MaxTries = 2
		box := g.open(cfg)
		require.NoError(t, box.Handle(newMessage("a")))
		run(t, box)
		eventually(t, "many tries", func() bool { return runs.Load() > 10 })
		require.Equal(t, inbox.Parked, g.row("a").State)
		g.exec("UPDATE inbox SET parked_at = parked_at - ?", (inbox.DefaultMaxAge + time.Minute).Milliseconds())
		row := g.awaitState("a", inbox.Dead)
		require.Equal(t, row.Tries, row.Excused)
		require.Equal(t, "the warehouse is closed", row.LastError)
	})
}

// TestHangs shows a handler that exceeds its time and notices.
func TestHangs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				if err := effect(msg.UUID)(ctx, tx); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			}, nil
		})
		cfg.MaxTries, cfg.Timeout = 2, 50*time.Millisecond
		box := g.open(cfg)
		require.NoError(t, box.Handle(newMessage("a")))
		require.Contains(t, g.row("a").LastError, "did not end in time: 50ms")
		run(t, box)
		row := g.awaitState("a", inbox.Dead)
		require.Equal(t, 2, row.Tries)
		require.Zero(t, row.Excused)
		require.Zero(t, g.effects("a"))
	})
}

// TestIgnoresItsEnd shows a handler that goes on after its time: it holds one
// place, others are tried meanwhile, and its work does not take effect twice.
func TestIgnoresItsEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var hangs atomic.Int32
		release := make(chan struct{})
		cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			if msg.UUID == "hangs" {
				hangs.Add(1)
				<-release
			}
			return effect(msg.UUID), nil
		})
		box := g.open(cfg)
		stop := run(t, box)
		defer func() { // also if the test fails
			if hangs.Load() < 2 {
				close(release)
			}
			stop()
		}()
		insertParked(g, "hangs")
		eventually(t, "it to hang", func() bool { return hangs.Load() == 1 })
		for range 2 {
			g.elapse(inbox.Parked) // its claim has run out
			insertParked(g, "other")
			g.awaitState("other", inbox.Done)
			g.exec("DELETE FROM inbox WHERE message_id = 'other'")
		}
		require.EqualValues(t, 1, hangs.Load(), "the same process ran it again beside itself")
		// Another process does.
		hangs.Store(2)
		second := g.open(g.config(works))
		stopSecond := run(t, second)
		g.elapse(inbox.Parked)
		g.awaitState("hangs", inbox.Done)
		stopSecond()
		close(release)
		stop()
		require.Equal(t, 1, g.effects("hangs"))
	})
}

// insertParked makes a row as one that failed and is due.
func insertParked(g *ground, id string) {
	g.t.Helper()
	box := g.open(g.config(func(context.Context, *message.Message) (inbox.Work, error) { return nil, errors.New("parked") }))
	require.NoError(g.t, box.Handle(newMessage(id)))
	require.Equal(g.t, inbox.Parked, g.row(id).State)
}

// TestClosed shows a consumer that is closed in the middle: the message is left
// to the broker, and nothing of it persists.
func TestClosed(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		ctx, closeSubscriber := context.WithCancel(t.Context())
		box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				if err := effect(msg.UUID)(ctx, tx); err != nil {
					return err
				}
				closeSubscriber()
				<-ctx.Done()
				return ctx.Err()
			}, nil
		}))
		msg := newMessage("a")
		msg.SetContext(ctx)
		require.ErrorIs(t, box.Handle(msg), context.Canceled)
		require.Zero(t, g.row("a"))
		require.Zero(t, g.effects("a"))
	})
}

// TestRunEnds shows that what Run was at when it ended is given back at once and
// not counted.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		insertParked(g, "a")
		began := make(chan struct{})
		var once sync.Once
		box := g.open(g.config(func(ctx context.Context, _ *message.Message) (inbox.Work, error) {
			once.Do(func() { close(began) })
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		stop := run(t, box)
		<-began
		stop()
		row := g.row("a")
		require.Equal(t, inbox.Parked, row.State)
		require.False(t, row.Claimed)
		require.WithinDuration(t, time.Now(), row.Due, 20*time.Second)
		require.Equal(t, 1, row.Tries-row.Excused, "the first try alone counts")
		run(t, g.open(g.config(works)))
		g.awaitState("a", inbox.Done)
		require.Equal(t, 1, g.effects("a"))
	})
}

// TestManyProcesses has several processes share what is parked.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		const messages = 60
		var tries sync.Map
		h := func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			n, _ := tries.LoadOrStore(msg.UUID, new(atomic.Int32))
			if n.(*atomic.Int32).Add(1) <= 3 {
				return nil, errors.New("not yet")
			}
			return effect(msg.UUID), nil
		}
		boxes := []*inbox.Inbox{g.open(g.config(h)), g.open(g.config(h)), g.open(g.config(h))}
		for n := range messages {
			require.NoError(t, boxes[n%3].Handle(newMessage(fmt.Sprint(n))))
		}
		for _, b := range boxes {
			run(t, b)
		}
		eventually(t, "all to be done", func() bool { return g.number("SELECT COUNT(*) FROM inbox WHERE state = 1") == messages })
		require.Equal(t, messages, g.number("SELECT COUNT(*) FROM effect"))
		require.Equal(t, 4*messages, g.number("SELECT SUM(tries) FROM inbox"), "a claim is one process's")
	})
}

// TestUnreadableRow shows a row that was changed by hand so that it is no message
// any more: it waits, and keeps nobody from the others.
func TestUnreadableRow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var healed atomic.Bool
		cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			if !healed.Load() {
				return nil, errors.New("no")
			}
			return effect(msg.UUID), nil
		})
		box := g.open(cfg)
		for _, id := range []string{"a", "b"} {
			require.NoError(t, box.Handle(newMessage(id)))
		}
		g.exec("UPDATE inbox SET metadata = '[]' WHERE message_id = 'a'")
		healed.Store(true)
		run(t, box)
		g.awaitState("b", inbox.Done)
		eventually(t, "message a to be looked at", func() bool {
			_, err := inbox.Get(context.Background(), g.db, g.kind.dialect(), "test", "a")
			return err != nil && g.number("SELECT tries FROM inbox WHERE message_id = 'a'") == 2
		})
		require.Zero(t, g.effects("a"))
	})
}
