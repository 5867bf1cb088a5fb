package rocketmq_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// TestNameServerByName: the client knows addresses only ("IP addr error"), and
// asks a host in the internet if it is given none.
func TestNameServerByName(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(testserver.RocketMQ(t))
	require.NoError(t, err)
	bus := open(t, rocketmq.Config{NameServers: []string{net.JoinHostPort("localhost", port)}})
	topic := newTopic(t, bus, 1)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, messages(1)...))
	next(t, subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic)).Ack()
}

// TestOneNameServerOfSeveralIsEnough, the others being away or silent.
func TestOneNameServerOfSeveralIsEnough(t *testing.T) {
	t.Parallel()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	away := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	bus := open(t, rocketmq.Config{NameServers: []string{away.String(), "no-such-host.invalid:9876", testserver.RocketMQ(t)}})
	topic := newTopic(t, bus, 1)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, messages(1)...))
	next(t, subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{}), topic)).Ack()
}

func TestOpenWithoutNameServer(t *testing.T) {
	t.Parallel()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	for name, addr := range map[string]string{
		"nobody listens": (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String(),
		"it is silent":   listen(t).Addr().String(),
		"no such host":   "no-such-host.invalid:9876",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := rocketmq.Open(ctx, rocketmq.Config{NameServers: []string{addr}})
			require.ErrorIs(t, err, messaging.ErrUnavailable)
			require.ErrorContains(t, err, addr)
		})
	}
}

func TestConfigOfBus(t *testing.T) {
	t.Parallel()
	_, err := rocketmq.Open(t.Context(), rocketmq.Config{
		NameServers: []string{"rocketmq", "http://rocketmq:9876"}, AccessKey: "a", SendTimeout: time.Minute,
	})
	require.ErrorContains(t, err, `name server "rocketmq": want host:port`)
	require.ErrorContains(t, err, `name server "http://rocketmq:9876": want host:port`)
	require.ErrorContains(t, err, "want both an access key and a secret key")
	require.ErrorContains(t, err, "want up to 3s")
}

// TestEnsureTopics: the client's administration takes a refusal for success.
func TestEnsureTopics(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := newTopic(t, bus, 3)
	require.Len(t, queueLengths(t, bus, topic), 3)
	require.NoError(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: topic, Queues: 8}))
	require.Len(t, queueLengths(t, bus, topic), 3, "it is left as it is")
	require.ErrorContains(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: "TBW102"}), "conflict with system topic")
	require.ErrorContains(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: "order/confirmed"}), "want letters")
	require.ErrorContains(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: "t", Queues: -1}), "queues")
}

// TestDots: RocketMQ allows none in the names of topics and groups.
func TestDots(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	topic := testserver.Topic(t) + ".confirmed"
	require.NoError(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: topic}))
	sent := messages(3)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{Group: "cart.orders", DrainTimeout: patience})
	got := newInbox()
	got.start(subscribe(t, s, topic))
	got.has(t, sent)
	require.NoError(t, s.Close())
	lag, err := bus.Lag(t.Context(), "cart.orders", topic)
	require.NoError(t, err)
	require.Zero(t, lag)
}

// TestPanicsOfTheClient in its own goroutines end the process, as do errors that
// it logs as fatal.
func TestPanicsOfTheClient(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	open(t, rocketmq.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	done := make(chan struct{})
	go func() {
		defer close(done)
		primitive.WithRecover(func() { panic("of the client") })
	}()
	<-done
	rlog.Fatal("it is over", map[string]any{"why": "nothing"})
	// It may have gone to another test's bus, opened meanwhile.
	require.True(t, log.empty() || bytes.Contains(log.bytes(), []byte("of the client")) || bytes.Contains(log.bytes(), []byte("it is over")))
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

func (s *safeBuffer) empty() bool { return len(s.bytes()) == 0 }

func TestLag(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	bus := open(t, rocketmq.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	topic := newTopic(t, bus, 2)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	require.NoError(t, p.Publish(topic, messages(10)...))
	lag := func() int64 {
		n, err := bus.Lag(t.Context(), "g", topic)
		require.NoError(t, err)
		return n
	}
	require.Equal(t, int64(10), lag(), "a group that has read nothing")
	s := newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience})
	out := subscribe(t, s, topic)
	for range 4 {
		next(t, out).Ack()
	}
	observed := func() (value int64, ok bool) {
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &all))
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				if g, is := m.Data.(metricdata.Gauge[int64]); is && m.Name == "tcckit.rocketmq.consumer.lag" {
					require.Len(t, g.DataPoints, 1)
					require.Equal(t, attribute.NewSet(attribute.String("group", "g"), attribute.String("topic", topic)), g.DataPoints[0].Attributes)
					return g.DataPoints[0].Value, true
				}
			}
		}
		return 0, false
	}
	// The brokers are told of it within seconds, also of a part of what was
	// pulled at once, and in each queue up to the first that is missing.
	eventually(t, func() bool { return lag() < 10 }, func() string { return "the broker is not told" })
	for range 6 {
		next(t, out).Ack()
	}
	eventually(t, func() bool { n, ok := observed(); return ok && n == 0 }, func() string { return "the lag does not go" })
	require.NoError(t, s.Close())
	require.Zero(t, lag())
	_, err := bus.Lag(t.Context(), "g", testserver.Topic(t))
	require.ErrorIs(t, err, rocketmq.ErrUnknownTopic)
}
