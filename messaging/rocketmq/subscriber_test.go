package rocketmq_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// noRetryTopic fails if anything was ever sent back to a broker, which forgets
// what the broker does not take, and delays it by ten seconds at least.
func noRetryTopic(t *testing.T, bus *rocketmq.Bus, group, topic string) {
	t.Helper()
	for _, prefix := range []string{"%RETRY%", "%DLQ%"} {
		name := prefix + rocketmq.GroupOf(group, topic)
		r, err := bus.Route(t.Context(), name)
		require.NoError(t, err)
		for _, q := range r.Queues {
			n, err := bus.MaxOffset(t.Context(), name, q)
			require.NoError(t, err)
			require.Zero(t, n, "messages were sent back to %s", name)
		}
	}
}

// TestNackedMessageComesAgainHere: a consumer of the client's sends it back to
// the broker, without looking at the answer, and commits it.
func TestNackedMessageComesAgainHere(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	sent := messages(1)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	out := subscribe(t, s, topic)
	for range 20 {
		m := next(t, out)
		require.Equal(t, sent[0].UUID, m.UUID)
		require.True(t, m.Nack())
		<-m.Context().Done()
	}
	next(t, out).Ack()
	require.NoError(t, s.Close())
	noRetryTopic(t, bus, "g", topic)
}

// TestFailingHandlers: the client takes an error for success unless it comes with
// the right other value, and forgets a message whose handler panics.
func TestFailingHandlers(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("no") },
		"panic": func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := newTopic(t, bus, 1)
			sent := messages(3)
			require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
			router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, watermill.NopLogger{})
			require.NoError(t, err)
			var calls atomic.Int64
			done := newInbox()
			router.AddConsumerHandler("h", topic, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), func(m *message.Message) error {
				if calls.Add(1) <= 10 {
					return fail()
				}
				done.take(m)
				return nil
			})
			ended := make(chan error, 1)
			go func() { ended <- router.Run(context.WithoutCancel(t.Context())) }()
			done.has(t, sent)
			require.NoError(t, router.Close())
			require.NoError(t, <-ended)
			require.GreaterOrEqual(t, calls.Load(), int64(13))
		})
	}
}

// TestOrderIsKeptThroughNacks: in the client's orderly mode, what is to be tried
// later is lost with the next success.
func TestOrderIsKeptThroughNacks(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	sent := messages(60)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{Batch: 7}).Publish(topic, sent...))
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Ordered: true}), topic)
	for i, want := range sent {
		for range i % 3 {
			m := next(t, out)
			require.Equal(t, want.UUID, m.UUID)
			m.Nack()
		}
		m := next(t, out)
		require.Equal(t, want.UUID, m.UUID)
		m.Ack()
	}
}

// TestNackedMessageWaits: in the client's orderly mode it comes again at once,
// and again, whatever it is told.
func TestNackedMessageWaits(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic, other := newTopic(t, bus, 1), newTopic(t, bus, 1)
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{Ordered: true, NackDelay: time.Hour})
	waits, marks := subscribe(t, s, topic), subscribe(t, s, other)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	require.NoError(t, p.Publish(topic, messages(2)...))
	next(t, waits).Nack()
	for range 20 {
		require.NoError(t, p.Publish(other, messages(1)...))
		next(t, marks).Ack()
	}
	select {
	case m := <-waits:
		require.Fail(t, "it came again at once", m.UUID)
	default:
	}
	require.NoError(t, s.Close()) // without waiting for the hour to pass
}

// TestKeysKeepTheirOrder on a topic of several queues, with members that come and
// go: the first time that each message is handed out is in order.
func TestKeysKeepTheirOrder(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 4)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	keys := []string{"a", "b", "c", "d", "e", "f", "g"}
	all := messages(testserver.Volume(350, 7000))
	byKey := map[string][]string{}
	for i, m := range all {
		key := keys[i%len(keys)]
		m.Metadata.Set(messaging.MetadataKey, key)
		byKey[key] = append(byKey[key], m.UUID)
	}
	got := newInbox()
	drink := func() message.Subscriber {
		s := newSubscriber(t, bus, rocketmq.SubscriberConfig{Ordered: true, DrainTimeout: patience})
		got.start(subscribe(t, s, topic))
		return s
	}
	first := drink()
	half := len(all) / 2
	require.NoError(t, p.Publish(topic, all[:half]...))
	drink()
	require.NoError(t, p.Publish(topic, all[half:]...))
	require.NoError(t, first.Close())
	got.has(t, all)
	order := map[string]int{}
	for i, id := range got.order() {
		order[id] = i
	}
	for key, ids := range byKey {
		for i := 1; i < len(ids); i++ {
			require.Less(t, order[ids[i-1]], order[ids[i]], "key %s, message %d", key, i)
		}
	}
}

// TestCloseCommitsWhatWasHandled: the client forgets at its end what was handled
// last, and does not wait for what is being handled.
func TestCloseCommitsWhatWasHandled(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 2)
	sent := messages(40)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	got := newInbox()
	for range 4 {
		s := newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience})
		out := subscribe(t, s, topic)
		for range 9 {
			m := next(t, out)
			got.take(m)
			m.Ack()
		}
		last := next(t, out)
		got.take(last)
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		eventually(t, func() bool {
			_, err := s.Subscribe(t.Context(), "no topic")
			return errors.Is(err, rocketmq.ErrClosed)
		}, func() string { return "the subscriber is not being closed" })
		require.NoError(t, last.Context().Err(), "it may still be handled")
		last.Ack()
		got.drink(out) // one may just have been on its way
		require.NoError(t, <-closed)
	}
	for _, m := range sent {
		require.Equal(t, 1, got.times(m.UUID), "message %s", m.Payload)
	}
	lag, err := bus.Lag(t.Context(), "g", topic)
	require.NoError(t, err)
	require.Zero(t, lag)
}

// TestCloseDoesNotWaitForever: a handler that hangs is given DrainTimeout; its
// message goes to another.
func TestCloseDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	sent := messages(1)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	m := next(t, subscribe(t, s, topic))
	require.NoError(t, s.Close())
	require.Error(t, m.Context().Err(), "who hangs is told")
	m.Ack() // too late
	again := next(t, subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic))
	require.Equal(t, sent[0].UUID, again.UUID)
	again.Ack()
}

// TestHandlerThatHangsHoldsOne: and not what else is there.
func TestHandlerThatHangsHoldsOne(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	sent := messages(200)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Handlers: 2}), topic)
	hung := next(t, out)
	got := newInbox()
	for got.len() < len(sent)-1 {
		m := next(t, out)
		require.NotEqual(t, hung.UUID, m.UUID)
		got.take(m)
		m.Ack()
	}
	hung.Ack()
}

// TestMemberThatLeavesGivesItsQueuesBack: the client never says that it has
// gone, and where two share a connection its queues stay unread for two minutes.
func TestMemberThatLeavesGivesItsQueuesBack(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 4)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	stays, leaves := newInbox(), newInbox()
	stays.start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic))
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience})
	leaves.start(subscribe(t, s, topic))
	eventually(t, func() bool { // both read
		require.NoError(t, p.Publish(topic, messages(8)...))
		return stays.len() > 0 && leaves.len() > 0
	}, func() string { return "one of two members reads nothing" })
	require.NoError(t, s.Close())
	sent := messages(40)
	require.NoError(t, p.Publish(topic, sent...))
	stays.has(t, sent)
}

// TestCloseUnderLoad: the client closes a channel on which a goroutine of its own
// may just be sending, which ends the process.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 2)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	got := newInbox()
	var sent []*message.Message
	for range testserver.Volume(8, 200) {
		s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
		out := subscribe(t, s, topic)
		drunk := make(chan struct{})
		go func() {
			defer close(drunk)
			got.drink(out)
		}()
		batch := messages(100)
		sent = append(sent, batch...)
		published := make(chan error, 1)
		go func() { published <- p.Publish(topic, batch...) }()
		eventually(t, func() bool { return got.times(batch[0].UUID) > 0 }, func() string { return "nothing comes" })
		require.NoError(t, s.Close())
		<-drunk
		require.NoError(t, <-published)
	}
	got.start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience}), topic))
	got.has(t, sent)
}

// TestSubscribingToATopicThatIsNotThere: the client fails, shuts itself down, and
// cannot be begun again.
func TestSubscribingToATopicThatIsNotThere(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := testserver.Topic(t)
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	_, err := s.Subscribe(t.Context(), topic)
	require.ErrorIs(t, err, rocketmq.ErrUnknownTopic)
	require.NotErrorIs(t, err, messaging.ErrUnavailable)
	require.ErrorContains(t, err, topic)
	require.NoError(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: topic}))
	out := subscribe(t, s, topic)
	sent := messages(1)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	next(t, out).Ack()
}

// TestSubscribersDoNotShare: by default the client gives all of a process one
// connection and one state, of which the first to go takes all.
func TestSubscribersDoNotShare(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 2)
	first, second := newPublisher(t, bus, rocketmq.PublisherConfig{}), newPublisher(t, bus, rocketmq.PublisherConfig{})
	a, b := newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "a"}), newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "b"})
	ofA, ofB := subscribe(t, a, topic), subscribe(t, b, topic)
	require.NoError(t, first.Publish(topic, messages(1)...))
	next(t, ofA).Ack()
	next(t, ofB).Ack()
	require.NoError(t, first.Close())
	require.NoError(t, first.Close())
	require.ErrorIs(t, first.Publish(topic, messages(1)...), rocketmq.ErrClosed)
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	require.NoError(t, second.Publish(topic, messages(1)...))
	next(t, ofB).Ack()
}

func TestConfigOfSubscriber(t *testing.T) {
	t.Parallel()
	bus := openBus(t, rocketmq.Config{})
	for name, cfg := range map[string]rocketmq.SubscriberConfig{
		"no group is given":                   {},
		"want letters, digits":                {Group: "a b"},
		"want up to 255":                      {Group: string(make([]byte, 300))},
		"want more than 0 for Handlers, Nack": {Group: "g", Handlers: -1},
	} {
		_, err := bus.Subscriber(cfg)
		require.ErrorContains(t, err, name)
	}
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	_, err := s.Subscribe(t.Context(), "order/confirmed")
	require.ErrorContains(t, err, `topic "order/confirmed": want letters, digits, . - _ % and | only`)
}
