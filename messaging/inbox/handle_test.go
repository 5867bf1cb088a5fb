package inbox_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/inbox"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		committed := 0
		box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				tx.AfterCommit(func() { committed++ })
				return effect(msg.UUID)(ctx, tx)
			}, nil
		}))
		for range 3 {
			require.NoError(t, box.Handle(newMessage("a")))
		}
		require.Equal(t, 1, g.effects("a"))
		require.Equal(t, 1, committed)
		row := g.row("a")
		require.Equal(t, inbox.Done, row.State)
		require.Equal(t, 1, row.Tries)
		require.WithinDuration(t, time.Now().Add(inbox.DefaultRetention), row.Due, time.Hour, "when it is deleted")
	})
}

func TestNoWork(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	box := g.open(g.config(func(context.Context, *message.Message) (inbox.Work, error) { return nil, nil }))
	require.NoError(t, box.Handle(newMessage("a")))
	require.Equal(t, inbox.Done, g.row("a").State)
}

// TestConsumers shows that each consumer has its own row.
func TestConsumers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		for _, name := range []string{"one", "two"} {
			cfg := g.config(works)
			cfg.Consumer = name
			box := g.open(cfg)
			require.NoError(t, box.Handle(newMessage("a")))
			require.NoError(t, box.Handle(newMessage("a")))
		}
		require.Equal(t, 2, g.effects("a"))
	})
}

// TestAtOnce delivers one message many times at once, through two processes;
// those that come first fail.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		for _, failures := range []int32{0, 1, 5} {
			id := strings.Repeat("x", int(failures)+1)
			var failed atomic.Int32
			h := func(_ context.Context, msg *message.Message) (inbox.Work, error) {
				return func(ctx context.Context, tx *inbox.Tx) error {
					if failed.Add(1) <= failures {
						return errors.New("not yet")
					}
					return effect(msg.UUID)(ctx, tx)
				}, nil
			}
			boxes := []*inbox.Inbox{g.open(g.config(h)), g.open(g.config(h))}
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					for boxes[n%2].Handle(newMessage(id)) != nil {
					}
				})
			}
			wg.Wait()
			stop := run(t, boxes[0])
			g.awaitState(id, inbox.Done)
			stop()
			require.Equal(t, 1, g.effects(id))
		}
	})
}

// TestStrangeIDs shows that ids which the column cannot hold, or would merge,
// are told apart.
func TestStrangeIDs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return effect("any"), nil
		}))
		ids := []string{"a", "A", "a ", " a", "é", "a\x00", strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("a", 1000), "\xff"}
		for range 2 {
			for _, id := range ids {
				require.NoError(t, box.Handle(newMessage(id)))
			}
		}
		require.Equal(t, len(ids), g.effects("any"))
	})
}

// TestNoID shows what becomes of a message of which no duplicate could be told.
func TestNoID(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		box := g.open(g.config(works))
		require.NoError(t, box.Handle(newMessage("")))
		rows, err := inbox.List(t.Context(), g.db, g.kind.dialect(), inbox.ListOptions{})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, inbox.Dead, rows[0].State)
		require.Contains(t, rows[0].LastError, "no id")
		require.Zero(t, g.effects(""))
	})
}

// TestHandlersCopy shows that a handler cannot acknowledge or change what is
// parked.
func TestHandlersCopy(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
		msg.Ack()
		msg.Metadata.Set("k", "changed")
		return nil, errors.New("no")
	}))
	msg := newMessage("a")
	msg.Metadata.Set("k", "v")
	require.NoError(t, box.Handle(msg))
	require.True(t, msg.Nack(), "the handler acknowledged it")
	require.Equal(t, "v", g.row("a").Metadata["k"])
}

// TestWorkIgnoresDeadlock shows that what follows an error that has ended the
// transaction is not committed by itself, although the work ignores the error.
func TestWorkIgnoresDeadlock(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{onMySQL, onMariaDB} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			g := newGround(t, k)
			g.exec("CREATE TABLE pair (id VARCHAR(8) PRIMARY KEY, n INT NOT NULL)")
			g.exec("INSERT INTO pair VALUES ('x', 0), ('y', 0)")
			var runs, ignored atomic.Int32
			var first sync.WaitGroup
			first.Add(2)
			other := map[string]string{"x": "y", "y": "x"}
			box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
				return func(ctx context.Context, tx *inbox.Tx) error {
					if _, err := tx.ExecContext(ctx, "UPDATE pair SET n = n + 1 WHERE id = ?", msg.UUID); err != nil {
						return err
					}
					if runs.Add(1) <= 2 { // both hold what the other wants
						first.Done()
						first.Wait()
					}
					if _, err := tx.ExecContext(ctx, "UPDATE pair SET n = n + 1 WHERE id = ?", other[msg.UUID]); err != nil {
						ignored.Add(1)
					}
					_, _ = tx.ExecContext(ctx, "INSERT INTO effect (message_id, by_whom) VALUES (?, 'work')", msg.UUID)
					return nil
				}, nil
			}))
			var wg sync.WaitGroup
			for id := range other {
				wg.Go(func() {
					if err := box.Handle(newMessage(id)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			require.Positive(t, ignored.Load(), "no deadlock")
			for id := range other {
				require.Equal(t, inbox.Done, g.row(id).State)
				require.Equal(t, 1, g.effects(id))
				require.Equal(t, 2, g.number("SELECT n FROM pair WHERE id = ?", id))
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	for want, change := range map[string]func(*inbox.Config){
		"no DB":                 func(c *inbox.Config) { c.DB = nil },
		"no Handler":            func(c *inbox.Config) { c.Handler = nil },
		`dialect "oracle"`:      func(c *inbox.Config) { c.Dialect = "oracle" },
		`consumer ""`:           func(c *inbox.Config) { c.Consumer = "" },
		`consumer "a b"`:        func(c *inbox.Config) { c.Consumer = "a b" },
		`consumer "aaa`:         func(c *inbox.Config) { c.Consumer = strings.Repeat("a", 65) },
		"a topic of 256 bytes":  func(c *inbox.Config) { c.Topic = strings.Repeat("a", 256) },
		"a retention of 1h0m0s": func(c *inbox.Config) { c.Retention = time.Hour },
		"more than 0":           func(c *inbox.Config) { c.Timeout = -1 },
		"Min <= Max":            func(c *inbox.Config) { c.Backoff.Max = 1 },
	} {
		cfg := g.config(works)
		change(&cfg)
		_, err := inbox.New(t.Context(), cfg)
		require.ErrorContains(t, err, want)
	}
	g.exec("DROP TABLE inbox")
	_, err := inbox.New(t.Context(), g.config(works))
	require.ErrorContains(t, err, "tcckit migrate")
}

// TestStates keeps the names that the command line takes.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, s := range []inbox.State{inbox.Done, inbox.Parked, inbox.Dead} {
		got, err := inbox.ParseState(s.String())
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	_, err := inbox.ParseState("LOST")
	require.ErrorContains(t, err, "want DONE, PARKED or DEAD")
}
