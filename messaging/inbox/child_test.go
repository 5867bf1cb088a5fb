package inbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// envChild makes the test binary a consumer that is killed on the way: see
// TestKilled.
const envChild = "TCCKIT_TEST_INBOX_CHILD"

// errand is what a child does: it handles four messages, whose ids begin with
// Prefix. One is handled, one fails first and is parked, one is given up, one
// fails first in an ordered consumer. Its standard output has the ids that it
// acknowledges.
type errand struct {
	Kind   kind
	Source string
	Prefix string
	KillAt int64
}

// ids are those of the messages.
func (e errand) ids() []string {
	return []string{e.Prefix + "good", e.Prefix + "again", e.Prefix + "ordered", e.Prefix + "bad"}
}

// consumer is both inboxes of an errand.
type consumer struct {
	plain, ordered *inbox.Inbox
	healed         atomic.Bool // what fails first succeeds now
}

func (c *consumer) handler(_ context.Context, msg *message.Message) (inbox.Work, error) {
	if strings.HasSuffix(msg.UUID, "bad") {
		return nil, messaging.Permanent(errors.New("it is bad"))
	}
	return func(ctx context.Context, tx *inbox.Tx) error {
		if err := effect(msg.UUID)(ctx, tx); err != nil {
			return err
		}
		if !c.healed.Load() && !strings.HasSuffix(msg.UUID, "good") {
			return errors.New("not yet")
		}
		return nil
	}, nil
}

func newConsumer(ctx context.Context, cfg inbox.Config) (c *consumer, err error) {
	c = new(consumer)
	cfg.Handler = c.handler
	if c.plain, err = inbox.New(ctx, cfg); err != nil {
		return nil, err
	}
	cfg.Ordered = true
	c.ordered, err = inbox.New(ctx, cfg)
	return c, err
}

func (c *consumer) handle(id string) error {
	if strings.HasSuffix(id, "ordered") {
		return c.ordered.Handle(newMessage(id))
	}
	return c.plain.Handle(newMessage(id))
}

// runChild does an errand. SIGKILL ends it before it returns, unless KillAt is
// beyond its last call.
func runChild(order string) error {
	var e errand
	if err := json.Unmarshal([]byte(order), &e); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	plain, err := e.Kind.open(e.Source)
	if err != nil {
		return err
	}
	defer plain.Close()
	m := new(mortal)
	db, err := m.open(e.Kind, e.Source)
	if err != nil {
		return err
	}
	defer db.Close()
	c, err := newConsumer(ctx, inbox.Config{
		DB: db, Dialect: e.Kind.dialect(), Consumer: "test", DeadLetters: &letterBox{plain, m},
		Backoff: inbox.Backoff{Min: time.Millisecond, Max: time.Millisecond}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	m.calls.Store(0)
	m.killAt = e.KillAt // from here on
	for _, id := range e.ids() {
		for n := 0; ; n++ {
			if c.handle(id) == nil {
				fmt.Println(id)
				break
			}
			c.healed.Store(true)
			if n == 10 {
				return errors.New(id + " is never acknowledged")
			}
		}
		c.healed.Store(false)
	}
	c.healed.Store(true)
	var running sync.WaitGroup
	running.Go(func() { c.plain.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for left := 1; left > 0; {
		err := plain.QueryRowContext(ctx, "SELECT COUNT(*) FROM inbox WHERE state > 1 AND due_at IS NOT NULL").Scan(&left)
		if err != nil {
			return err
		}
		<-time.After(time.Millisecond)
	}
	return nil
}
