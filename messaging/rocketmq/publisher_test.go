package rocketmq_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// TestBadMessagesAreNotSent: a message that a broker would refuse, or change, is
// an error, and nothing of its call is sent.
func TestBadMessagesAreNotSent(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{Batch: 1})
	for name, bad := range badMessages() {
		all := messages(2)
		bad.of(all[1])
		err := p.Publish(topic, all...)
		require.ErrorIs(t, err, messaging.ErrPermanent, name)
		require.ErrorContains(t, err, bad.says)
		require.ErrorContains(t, err, topic)
	}
	require.Zero(t, sentTo(t, bus, topic))
}

// sentTo is how many messages a topic has.
func sentTo(t *testing.T, bus *rocketmq.Bus, topic string) (n int64) {
	t.Helper()
	r, err := bus.Route(t.Context(), topic)
	require.NoError(t, err)
	for _, q := range r.Queues {
		end, err := bus.MaxOffset(t.Context(), topic, q)
		require.NoError(t, err)
		n += end
	}
	return n
}

// TestOddMessagesArrive: the largest, the empty one, the one with the most
// metadata, and characters that are merely strange.
func TestOddMessagesArrive(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 2)
	large := message.NewMessage("large", slices.Repeat([]byte{'x'}, rocketmq.MaxPayload))
	empty := message.NewMessage("empty", nil)
	empty.Metadata.Set("empty", "")
	control := message.NewMessage("control", []byte{0, 1, 2, 255})
	control.Metadata.Set("text", "a\nb\tc\x03\x7f\"\\ä日本🙂=")
	control.Metadata.Set("a b=\n", "v")
	much := message.NewMessage("much", []byte("x"))
	for i := range 300 {
		much.Metadata.Set(fmt.Sprintf("key-%03d", i), string(slices.Repeat([]byte{'v'}, 85)))
	}
	want := map[string]*message.Message{"large": large, "empty": empty, "control": control, "much": much}
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	require.NoError(t, p.Publish(topic, large))                       // alone
	require.NoError(t, p.Publish(topic, large, large, much))          // at once
	require.NoError(t, p.Publish(topic, empty, control, much))        // in a batch
	require.NoError(t, p.Publish(topic, empty))                       // and each
	require.NoError(t, p.Publish(topic, control))                     //
	require.NoError(t, p.Publish(topic, message.NewMessage("", nil))) // which has nothing
	require.NoError(t, p.Publish(topic, message.NewMessage("", []byte{})))
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic)
	seen := map[string]int{}
	for range 11 {
		m := next(t, out)
		if w := want[m.UUID]; w != nil {
			require.Equal(t, w.Metadata, m.Metadata)
			require.True(t, bytes.Equal(w.Payload, m.Payload), "%d bytes, %d came", len(w.Payload), len(m.Payload))
		} else {
			require.Empty(t, m.Payload)
			require.Empty(t, m.Metadata)
		}
		seen[m.UUID]++
		m.Ack()
	}
	require.Equal(t, map[string]int{"large": 3, "empty": 2, "control": 2, "much": 2, "": 2}, seen)
}

func TestUnknownTopic(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := testserver.Topic(t)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	err := p.Publish(topic, messages(2)...)
	require.ErrorIs(t, err, rocketmq.ErrUnknownTopic)
	require.NotErrorIs(t, err, messaging.ErrUnavailable, "another topic's messages would be sent")
	require.NotErrorIs(t, err, messaging.ErrPermanent, "somebody may create it")
	require.NoError(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: topic}))
	require.NoError(t, p.Publish(topic, messages(2)...))
	for _, name := range []string{"", "order/confirmed", string(slices.Repeat([]byte{'t'}, 128))} {
		require.ErrorIs(t, p.Publish(name, messages(1)...), messaging.ErrPermanent, name)
	}
}

// TestSilentNameServer: the client waits for it up to 24 s, whatever the context
// says.
func TestSilentNameServer(t *testing.T) {
	t.Parallel()
	proxy := testserver.NewProxy(t, testserver.RocketMQ(t))
	bus := open(t, rocketmq.Config{NameServers: []string{proxy.Addr()}, SendTimeout: time.Second})
	known, unknown := newTopic(t, bus, 1), newTopic(t, bus, 1)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{Sends: 2})
	require.NoError(t, p.Publish(known, messages(1)...))
	proxy.Hold()
	// Released before the publisher is closed, which waits for its sends.
	t.Cleanup(proxy.Release)
	for range 3 { // the last finds both sends on their way
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		m := messages(1)[0]
		m.SetContext(ctx)
		done := make(chan error, 1)
		go func() { done <- p.Publish(unknown, m) }()
		select {
		case err := <-done:
			require.ErrorIs(t, err, messaging.ErrUnavailable)
		case <-time.After(5 * time.Second):
			require.Fail(t, "Publish did not heed the context")
		}
		cancel()
	}
	require.ErrorContains(t, p.Publish(known, messages(1)...), "2 batches are on their way")
	proxy.Release()
	eventually(t, func() bool { return p.Publish(unknown, messages(1)...) == nil }, func() string { return "it does not recover" })
}

// TestContextOfAnyMessageEndsPublish: also of one that has ended before.
func TestContextOfAnyMessageEndsPublish(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all := messages(3)
	all[2].SetContext(ctx)
	err := newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, all...)
	require.ErrorIs(t, err, messaging.ErrUnavailable)
}

// TestDelayedMessageComesLater than one that was published after it.
func TestDelayedMessageComesLater(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 1)
	out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Ordered: true}), topic)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	all := messages(2)
	messaging.SetDelay(all[0], 1500*time.Millisecond)
	all[0].Metadata.Set(messaging.MetadataKey, "k")
	require.NoError(t, p.Publish(topic, all...))
	for _, i := range []int{1, 0} {
		m := next(t, out)
		require.Equal(t, all[i].UUID, m.UUID)
		m.Ack()
	}
}

// TestKeysShareAQueue and other messages use all.
func TestKeysShareAQueue(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 4)
	all := messages(10)
	for _, m := range all {
		m.Metadata.Set(messaging.MetadataKey, "k")
	}
	for _, p := range []message.Publisher{newPublisher(t, bus, rocketmq.PublisherConfig{}), newPublisher(t, bus, rocketmq.PublisherConfig{Batch: 2})} {
		for _, m := range all[:4] { // each alone
			require.NoError(t, p.Publish(topic, m))
		}
		require.NoError(t, p.Publish(topic, all[4:]...))
	}
	require.Equal(t, []int64{0, 0, 0, 20}, queueLengths(t, bus, topic))
	p := newPublisher(t, bus, rocketmq.PublisherConfig{Batch: 1})
	require.NoError(t, p.Publish(topic, messages(8)...))
	require.Equal(t, []int64{2, 2, 2, 22}, queueLengths(t, bus, topic))
}

// queueLengths returns how many messages each queue has, sorted.
func queueLengths(t *testing.T, bus *rocketmq.Bus, topic string) []int64 {
	t.Helper()
	r, err := bus.Route(t.Context(), topic)
	require.NoError(t, err)
	var all []int64
	for _, q := range r.Queues {
		n, err := bus.MaxOffset(t.Context(), topic, q)
		require.NoError(t, err)
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// TestTraceContextTravels with a message, unless it brings one.
func TestTraceContextTravels(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]rocketmq.Config{"rocketmq": {NameServers: []string{""}}, "in process": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Propagator = propagation.TraceContext{}
			if len(cfg.NameServers) > 0 {
				cfg.NameServers[0] = testserver.RocketMQ(t)
			}
			bus := openBus(t, cfg)
			topic := newTopic(t, bus, 1)
			out := subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{Ordered: true}), topic)
			ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
			}))
			mine, brings := message.NewMessage(watermill.NewUUID(), nil), message.NewMessage(watermill.NewUUID(), nil)
			mine.SetContext(ctx)
			brings.SetContext(ctx)
			const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			brings.Metadata.Set("traceparent", own)
			done, p := make(chan error, 1), newPublisher(t, bus, rocketmq.PublisherConfig{})
			go func() { done <- p.Publish(topic, mine, brings) }()
			for _, want := range []string{"00-01000000000000000000000000000000-0200000000000000-00", own} {
				m := next(t, out)
				require.Equal(t, want, m.Metadata.Get("traceparent"))
				m.Ack()
			}
			require.NoError(t, <-done)
			require.Empty(t, mine.Metadata, "the caller's message is left as it was")
		})
	}
}

func TestConfigOfPublisher(t *testing.T) {
	t.Parallel()
	bus := openBus(t, rocketmq.Config{})
	_, err := bus.Publisher(rocketmq.PublisherConfig{Batch: -1})
	require.ErrorContains(t, err, "want more than 0 for Batch and Sends")
	_, err = bus.Publisher(rocketmq.PublisherConfig{Group: "a b"})
	require.ErrorContains(t, err, "want letters")
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish("t"))
}

// listen returns a listener that nobody accepts from: a server that says nothing.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}
