package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// load is the payload of the messages, about as large as that of an order of
// two lines.
type load struct {
	Number  int    `json:"number"`
	Account string `json:"account"`
	Text    string `json:"text"`
}

const loadText = "a payload of about as many bytes as an order of two lines: " +
	"{\"sku\": \"01J9Z\", \"quantity\": 2, \"price\": {\"amount\": 1299, \"currency\": \"EUR\"}}, {\"sku\": \"01J9Y\", \"quantity\": 1}"

// account is whom the n-th message is about: neighbours in time are none in the
// table.
func account(n int) string { return rowID(n * 7919 % spread) }

// newLoad returns the n-th message. It has a key, as the shop's have.
func newLoad(topic string, n int) (outbox.Message, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return outbox.Message{}, err
	}
	payload, err := json.Marshal(load{Number: n, Account: account(n), Text: loadText})
	return outbox.Message{ID: id.String(), Topic: topic, Key: id.String(), Payload: payload}, err
}

// asSent is m as a relay publishes it.
func asSent(ctx context.Context, m outbox.Message) *message.Message {
	msg := message.NewMessageWithContext(ctx, m.ID, m.Payload)
	msg.Metadata.Set(messaging.MetadataKey, m.Key)
	return msg
}

// topic makes a topic that nobody else uses.
func (m *messagesRun) topic(ctx context.Context, name string) (string, error) {
	topic := "tcckit-bench-" + name + "-" + strings.ToLower(rand.Text()[:8])
	return topic, m.bus.EnsureTopics(ctx, rocketmq.Topic{Name: topic})
}

// fill writes n messages into the outbox, and wakes nobody.
func (m *messagesRun) fill(ctx context.Context, topic string, n int) error {
	const chunk = 500
	for at := 0; at < n; at += chunk {
		var msgs []outbox.Message
		for i := at; i < min(at+chunk, n); i++ {
			msg, err := newLoad(topic, i)
			if err != nil {
				return err
			}
			msgs = append(msgs, msg)
		}
		tx, err := m.store.DB().BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := m.outbox.Write(ctx, tx, msgs...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// send publishes n messages, many at once.
func (m *messagesRun) send(ctx context.Context, topic string, n int) error {
	const chunk = 1000
	for at := 0; at < n; at += chunk {
		var msgs []*message.Message
		for i := at; i < min(at+chunk, n); i++ {
			msg, err := newLoad(topic, i)
			if err != nil {
				return err
			}
			msgs = append(msgs, asSent(ctx, msg))
		}
		if err := m.sender.Publish(topic, msgs...); err != nil {
			return err
		}
	}
	return nil
}

// charge is the work of each message: one UPDATE.
const charge = "UPDATE account SET available = available - 1, spent = spent + 1 WHERE id = ? AND available >= 1"

func decode(msg *message.Message) (l load, err error) {
	err = json.Unmarshal(msg.Payload, &l)
	return l, err
}

// handler charges a message's account. committed is called after the commit.
func handler(ready func(), committed func(load)) inbox.Handler {
	return func(_ context.Context, msg *message.Message) (inbox.Work, error) {
		l, err := decode(msg)
		if err != nil {
			return nil, messaging.Permanent(err)
		}
		ready()
		return func(ctx context.Context, tx *inbox.Tx) error {
			tx.AfterCommit(func() { committed(l) })
			return changeOne(tx.ExecContext(ctx, charge, l.Account))
		}, nil
	}
}

func (m *messagesRun) newInbox(ctx context.Context, topic string, h inbox.Handler) (*inbox.Inbox, error) {
	return inbox.New(ctx, inbox.Config{DB: m.store.DB(), Dialect: messaging.MySQL, Consumer: "bench", Topic: topic, Handler: h, Logger: m.log})
}

// consume has the messages of a topic handled until stop is called.
func (m *messagesRun) consume(ctx context.Context, topic string, handlers int, h inbox.Handler) (stop func() error, err error) {
	box, err := m.newInbox(ctx, topic, h)
	if err != nil {
		return nil, err
	}
	subscriber, err := m.bus.Subscriber(rocketmq.SubscriberConfig{Group: "bench", Handlers: handlers})
	if err != nil {
		return nil, err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLogger(m.log))
	if err != nil {
		return nil, err
	}
	router.AddConsumerHandler("bench", topic, subscriber, box.Handle)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { box.Run(ctx) })
	var ended error
	running.Go(func() { ended = router.Run(ctx) })
	return func() error {
		cancel()
		running.Wait()
		return ended
	}, nil
}

// await polls until done reports true.
func await(ctx context.Context, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: waiting for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// awaitTimeout is what no wait of a sound system takes.
const awaitTimeout = 2 * time.Minute
