package bank_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// Two banks in one process, without a broker: all goes by outbox.
func TestTransfersWithinTheProcess(t *testing.T) {
	t.Parallel()
	bus, err := rocketmq.Open(t.Context(), rocketmq.Config{Logger: databasetest.Logger(t)})
	require.NoError(t, err)
	newPair(t, databasetest.SQLite).exchange(bus)
}

// Two banks on a broker: what asks the other bank is a half message.
func TestTransfersByHalfMessage(t *testing.T) {
	t.Parallel()
	bus, err := rocketmq.Open(t.Context(), rocketmq.Config{NameServers: []string{testserver.RocketMQ(t)}, Logger: databasetest.Logger(t)})
	require.NoError(t, err)
	// The broker is everybody's, and topics are named after banks.
	north := "n-" + strings.ToLower(rand.Text()[:8])
	south := "s" + north[1:]
	p := &pair{north: newBranch(t, databasetest.MySQL, north, south), south: newBranch(t, databasetest.MySQL, south, north)}
	for _, b := range []*branch{p.north, p.south} {
		require.NoError(t, bus.EnsureTopics(t.Context(),
			rocketmq.Topic{Name: event.TopicTransfer(b.name)}, rocketmq.Topic{Name: event.TopicSettled(b.name)}))
		transactions, err := rocketmq.NewTransactions(t.Context(), rocketmq.TransactionsConfig{Bus: bus, Group: "bank-" + b.name, DB: b.db.SQL(), Dialect: messaging.MySQL})
		require.NoError(t, err)
		b.sender.Sender = transactions
	}
	p.exchange(bus)
	for _, b := range []*branch{p.north, p.south} {
		rows, err := b.outbox.List(t.Context(), outbox.ListOptions{Topic: event.TopicTransfer(b.peer)})
		require.NoError(t, err)
		require.Empty(t, rows)
	}
}

// exchange has both banks send money, with the consumers late for the first of
// them, and requires every transfer to arrive or to come back. It closes the bus.
func (p *pair) exchange(bus *rocketmq.Bus) {
	t := p.north.t
	t.Helper()
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
		relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: b.outbox, Publisher: publisher, Poll: 20 * time.Millisecond})
		require.NoError(t, err)
		running.Go(func() { relay.Run(ctx) })
	}
	const each = 20
	var arrives int64
	send := func(b *branch) {
		arrives = 0
		for i := range int64(each) {
			req := b.request(i + 1)
			req.ToAccountId = []string{"bob", "closed", "nobody"}[i%3]
			if i%3 == 0 {
				arrives += i + 1
			}
			b.transfer(req)
		}
	}
	send(p.north)
	for _, b := range []*branch{p.north, p.south} {
		for topic, box := range b.inboxes {
			subscriber, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: "bank-" + b.name})
			require.NoError(t, err)
			letters, err := subscriber.Subscribe(ctx, topic)
			require.NoError(t, err)
			running.Go(func() { handle(box, letters) })
		}
	}
	send(p.south)
	require.Eventually(t, func() bool {
		return p.north.books("").settled() == each && p.south.books("").settled() == each
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, int64(2000), total(p.north.books(""), p.south.books("")))
	for _, b := range []*branch{p.north, p.south} {
		b.requireBalance("ann", 1000-arrives)
		b.requireBalance("bob", arrives)
		b.requireBalance("closed", 0)
		require.Zero(t, b.unfinished(""))
		require.Eventually(t, func() bool {
			rows, err := b.outbox.List(t.Context(), outbox.ListOptions{States: []outbox.State{outbox.StateNew, outbox.StateFailed}})
			return err == nil && len(rows) == 0
		}, time.Minute, 20*time.Millisecond)
	}
}

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
