package rocketmq_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// patience bounds every wait for something that usually takes milliseconds.
const patience = 60 * time.Second

// open returns a bus on the shared RocketMQ, unless cfg names another.
func open(t testing.TB, cfg rocketmq.Config) *rocketmq.Bus {
	t.Helper()
	if len(cfg.NameServers) == 0 {
		cfg.NameServers = []string{testserver.RocketMQ(t)}
	}
	return openBus(t, cfg)
}

func openBus(t testing.TB, cfg rocketmq.Config) *rocketmq.Bus {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	bus, err := rocketmq.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bus.Close()) })
	return bus
}

// newTopic creates a topic of the test's own.
func newTopic(t testing.TB, bus *rocketmq.Bus, queues int) string {
	t.Helper()
	topic := testserver.Topic(t)
	require.NoError(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: topic, Queues: queues}))
	return topic
}

func newPublisher(t testing.TB, bus *rocketmq.Bus, cfg rocketmq.PublisherConfig) message.Publisher {
	t.Helper()
	p, err := bus.Publisher(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func newSubscriber(t testing.TB, bus *rocketmq.Bus, cfg rocketmq.SubscriberConfig) message.Subscriber {
	t.Helper()
	if cfg.Group == "" {
		cfg.Group = "g"
	}
	if cfg.NackDelay == 0 {
		cfg.NackDelay = 10 * time.Millisecond
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 100 * time.Millisecond
	}
	s, err := bus.Subscriber(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func subscribe(t testing.TB, s message.Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	out, err := s.Subscribe(context.WithoutCancel(t.Context()), topic)
	require.NoError(t, err)
	return out
}

// messages returns n of them, with ids and payloads that tell them apart.
func messages(n int) []*message.Message {
	all := make([]*message.Message, n)
	for i := range all {
		all[i] = message.NewMessage(watermill.NewUUID(), fmt.Appendf(nil, "%d", i))
	}
	return all
}

// next is the next message that is handed out.
func next(t testing.TB, out <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-out:
		require.True(t, ok, "the subscription has ended")
		return m
	case <-time.After(patience):
		require.Fail(t, "no message came")
		return nil
	}
}

// inbox collects the ids of messages, acknowledging each.
type inbox struct {
	mu   sync.Mutex
	ids  map[string]int
	seen []string // each once, in order
}

func newInbox() *inbox { return &inbox{ids: map[string]int{}} }

// drink takes messages until the channel is closed.
func (i *inbox) drink(out <-chan *message.Message) {
	for m := range out {
		i.take(m)
		m.Ack()
	}
}

// start has a goroutine take messages until the channel is closed.
func (i *inbox) start(out <-chan *message.Message) { go i.drink(out) }

func (i *inbox) take(m *message.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ids[m.UUID]++; i.ids[m.UUID] == 1 {
		i.seen = append(i.seen, m.UUID)
	}
}

// times is how often a message came.
func (i *inbox) times(id string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ids[id]
}

func (i *inbox) len() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.ids)
}

func (i *inbox) order() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.seen)
}

// has waits until all of want have come.
func (i *inbox) has(t testing.TB, want []*message.Message) {
	t.Helper()
	eventually(t, func() bool {
		return !slices.ContainsFunc(want, func(m *message.Message) bool { return i.times(m.UUID) == 0 })
	}, func() string { return fmt.Sprintf("%d of %d messages came", i.len(), len(want)) })
}

// eventually polls a condition.
func eventually(t testing.TB, ok func() bool, otherwise func() string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			require.Fail(t, "it did not happen", otherwise())
		case <-tick.C:
		}
	}
}
