package bank_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// Two banks as they are served in one process, with relays and consumers. One of
// the consumers comes late.
func TestTransfersOverTheBus(t *testing.T) {
	t.Parallel()
	p := newPair(t, databasetest.SQLite)
	bus, err := rocketmq.Open(t.Context(), rocketmq.Config{Logger: databasetest.Logger(t)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { require.NoError(t, bus.Close()) }()
	defer cancel()
	publisher, err := bus.Publisher(rocketmq.PublisherConfig{})
	require.NoError(t, err)
	for _, b := range []*branch{p.north, p.south} {
		b.open("ann", 1000)
		b.open("bob", 0)
		b.open("closed", 0)
		b.close("closed")
		relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: b.outbox, Publisher: dotless{publisher}, Poll: 20 * time.Millisecond})
		require.NoError(t, err)
		running.Go(func() { relay.Run(ctx) })
	}
	const each = 20
	send := func(b *branch) {
		for i := range each {
			req := b.request(int64(i) + 1)
			req.ToAccountId = []string{"bob", "closed", "nobody"}[i%3]
			b.transfer(req)
		}
	}
	send(p.north)
	for _, b := range []*branch{p.north, p.south} {
		for topic, box := range b.inboxes {
			subscriber, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: b.name})
			require.NoError(t, err)
			letters, err := subscriber.Subscribe(ctx, withoutDots(topic))
			require.NoError(t, err)
			running.Go(func() { handle(box, letters) })
		}
	}
	send(p.south)
	require.Eventually(t, func() bool {
		return p.north.books("").settled() == each && p.south.books("").settled() == each
	}, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, int64(2000), total(p.north.books(""), p.south.books("")))
	var credited int64
	for i := range int64(each) {
		if i%3 == 0 {
			credited += i + 1
		}
	}
	for _, b := range []*branch{p.north, p.south} {
		b.requireBalance("ann", 1000-credited)
		b.requireBalance("bob", credited)
		b.requireBalance("closed", 0)
		require.Zero(t, b.unfinished(""))
		require.Eventually(t, func() bool {
			rows, err := b.outbox.List(t.Context(), outbox.ListOptions{States: []outbox.State{outbox.StateNew, outbox.StateFailed}})
			require.NoError(t, err)
			return len(rows) == 0
		}, 30*time.Second, 20*time.Millisecond)
	}
}

// dotless publishes under names that RocketMQ allows.
type dotless struct{ message.Publisher }

func (d dotless) Publish(topic string, letters ...*message.Message) error {
	return d.Publisher.Publish(withoutDots(topic), letters...)
}

func withoutDots(topic string) string { return strings.ReplaceAll(topic, ".", "_") }

// handle hands messages to an inbox until there are no more.
func handle(box *inbox.Inbox, letters <-chan *message.Message) {
	for msg := range letters {
		if err := box.Handle(msg); err != nil {
			msg.Nack()
			continue
		}
		msg.Ack()
	}
}

// settled is how many transfers are credited or refunded.
func (b books) settled() (n int) {
	for _, t := range b.transfers {
		if t.status != sent {
			n++
		}
	}
	return n
}
