package rocketmq_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// openLocal returns a bus within the process and a publisher on it.
func openLocal(t *testing.T) (*rocketmq.Bus, message.Publisher) {
	t.Helper()
	bus := openBus(t, rocketmq.Config{})
	require.True(t, bus.InProcess())
	return bus, newPublisher(t, bus, rocketmq.PublisherConfig{})
}

// publish publishes beside the test, which has to receive meanwhile.
func publish(p message.Publisher, topic string, all ...*message.Message) <-chan error {
	done := make(chan error, 1)
	go func() { done <- p.Publish(topic, all...) }()
	return done
}

func TestLocalKeepsNothing(t *testing.T) {
	t.Parallel()
	bus, p := openLocal(t)
	err := p.Publish("t", messages(1)...)
	require.ErrorIs(t, err, messaging.ErrUnavailable)
	require.ErrorContains(t, err, "nobody is subscribed")
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	subscribe(t, s, "t")
	require.NoError(t, s.Close())
	require.ErrorIs(t, p.Publish("t", messages(1)...), messaging.ErrUnavailable, "nobody any more")
}

// TestLocalPublishWaitsForEachGroup, of which one member gets each message.
func TestLocalPublishWaitsForEachGroup(t *testing.T) {
	t.Parallel()
	bus, p := openLocal(t)
	a := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "a"}), "t")
	b1 := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "b"}), "t")
	b2 := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "b"}), "t")
	other := newInbox()
	other.start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "c"}), "other"))
	sent := messages(1)
	sent[0].Metadata.Set("k", "v")
	done := publish(p, "t", sent...)
	ofA := next(t, a)
	var ofB *message.Message
	select {
	case ofB = <-b1:
	case ofB = <-b2:
	}
	require.Equal(t, sent[0].UUID, ofB.UUID)
	require.Equal(t, sent[0].Metadata, ofB.Metadata)
	ofB.Ack()
	select {
	case err := <-done:
		require.Fail(t, "it did not wait for the other group", "%v", err)
	case <-b1:
		require.Fail(t, "a group got a message twice")
	case <-b2:
		require.Fail(t, "a group got a message twice")
	default:
	}
	ofA.Nack()
	next(t, a).Ack()
	require.NoError(t, <-done)
	require.Zero(t, other.len())
}

// TestLocalCloseIsNoAcknowledgement: gochannel's Publish reports success for a
// message that nobody has acknowledged when a subscriber is closed.
func TestLocalCloseIsNoAcknowledgement(t *testing.T) {
	t.Parallel()
	bus, p := openLocal(t)
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	out := subscribe(t, s, "t")
	done := publish(p, "t", messages(1)...)
	next(t, out)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-done, messaging.ErrUnavailable)

	// Another member takes what one leaves.
	leaves, stays := newSubscriber(t, bus, rocketmq.SubscriberConfig{}), newSubscriber(t, bus, rocketmq.SubscriberConfig{})
	out = subscribe(t, leaves, "t")
	sent := messages(1)
	done = publish(p, "t", sent...)
	next(t, out)
	rest := subscribe(t, stays, "t")
	require.NoError(t, leaves.Close())
	m := next(t, rest)
	require.Equal(t, sent[0].UUID, m.UUID)
	m.Ack()
	require.NoError(t, <-done)
}

func TestLocalPublishHeedsItsContextAndClose(t *testing.T) {
	t.Parallel()
	bus, p := openLocal(t)
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Handlers: 1}), "t")
	ctx, cancel := context.WithCancel(t.Context())
	hangs := messages(1)
	hangs[0].SetContext(ctx)
	done := publish(p, "t", hangs...)
	hung := next(t, out)
	cancel()
	err := <-done
	require.ErrorIs(t, err, messaging.ErrUnavailable)
	require.ErrorContains(t, err, "not acknowledged yet")

	waits := messages(1) // for the only handler, which hangs
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	waits[0].SetContext(ctx)
	require.ErrorContains(t, p.Publish("t", waits...), "no subscriber takes it")

	done = publish(p, "t", messages(1)...)
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-done, rocketmq.ErrClosed)
	hung.Ack()
	require.NoError(t, bus.Close())
	_, err = bus.Publisher(rocketmq.PublisherConfig{})
	require.ErrorIs(t, err, rocketmq.ErrClosed)
}

// TestLocalIsAsStrictAsABroker with what it is given.
func TestLocalIsAsStrictAsABroker(t *testing.T) {
	t.Parallel()
	bus, p := openLocal(t)
	newInbox().start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), "t"))
	for name, bad := range badMessages() {
		m := message.NewMessage("id-1", []byte("x"))
		bad.of(m)
		err := p.Publish("t", m)
		require.ErrorIs(t, err, messaging.ErrPermanent, name)
		require.ErrorContains(t, err, bad.says)
	}
	delayed := messages(1)[0]
	messaging.SetDelay(delayed, time.Second)
	require.ErrorContains(t, p.Publish("t", delayed), "cannot keep a message back")
	require.ErrorIs(t, p.Publish("order/confirmed", messages(1)...), messaging.ErrPermanent)
	require.NoError(t, p.Publish("t", message.NewMessage("", nil)))
	require.NoError(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: "any"}))
	lag, err := bus.Lag(t.Context(), "g", "t")
	require.NoError(t, err)
	require.Zero(t, lag)
}

// TestLocalOrderAndConcurrency: one after another if ordered, and otherwise as
// many at once as there are handlers.
func TestLocalOrderAndConcurrency(t *testing.T) {
	t.Parallel()
	bus, p := openLocal(t)
	ordered := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Ordered: true}), "ordered")
	var sent []*message.Message
	for i := range 50 {
		sent = append(sent, message.NewMessage(strconv.Itoa(i), nil))
	}
	done := publish(p, "ordered", sent...)
	for i := range sent {
		m := next(t, ordered)
		require.Equal(t, strconv.Itoa(i), m.UUID)
		m.Ack()
	}
	require.NoError(t, <-done)

	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Handlers: 4}), "t")
	var dones []<-chan error
	var taken []*message.Message
	for range 4 {
		dones = append(dones, publish(p, "t", message.NewMessage(watermill.NewUUID(), nil)))
	}
	for range 4 {
		taken = append(taken, next(t, out))
	}
	for _, m := range taken {
		m.Ack()
	}
	for _, done := range dones {
		require.NoError(t, <-done)
	}
}
