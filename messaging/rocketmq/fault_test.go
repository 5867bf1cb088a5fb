package rocketmq_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// TestFaults runs on one server of its own, which asks for credentials, and is
// killed.
func TestFaults(t *testing.T) {
	t.Parallel()
	const account, password = "tcckit", "12345678"
	server := testserver.StartRocketMQ(t, map[string]string{
		"authenticationEnabled":                "true",
		"authenticationWhitelist":              "26", // its settings, by which the test sees that it has started
		"authenticationProvider":               "org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider",
		"authenticationMetadataProvider":       "org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider",
		"initAuthenticationUser":               `{"username":"` + account + `","password":"` + password + `"}`,
		"innerClientAuthenticationCredentials": `{"accessKey":"` + account + `","secretKey":"` + password + `"}`,
	})
	cfg := rocketmq.Config{NameServers: []string{server.NameServer()}, AccessKey: account, SecretKey: password}
	t.Run("WrongCredentials", func(t *testing.T) { wrongCredentials(t, cfg) })
	t.Run("BrokerIsKilled", func(t *testing.T) { brokerIsKilled(t, server, cfg) })
	t.Run("NameServerIsKilled", func(t *testing.T) { nameServerIsKilled(t, server, cfg) })
}

// wrongCredentials are nobody's fault, and say so.
func wrongCredentials(t *testing.T, cfg rocketmq.Config) {
	bus := openBus(t, cfg)
	topic := newTopic(t, bus, 1)
	sent := messages(3)
	require.NoError(t, newPublisher(t, bus, rocketmq.PublisherConfig{}).Publish(topic, sent...))
	for name, keys := range map[string][2]string{"wrong secret key": {cfg.AccessKey, "87654321"}, "wrong access key": {"nobody", cfg.SecretKey}, "none": {}} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.AccessKey, cfg.SecretKey = keys[0], keys[1]
			wrong := openBus(t, cfg)
			p := newPublisher(t, wrong, rocketmq.PublisherConfig{})
			var err error
			eventually(t, func() bool { // a broker that has just begun may take its time
				err = p.Publish(topic, messages(1)...)
				require.ErrorIs(t, err, messaging.ErrUnavailable, "no message is to blame")
				return strings.Contains(err.Error(), "does not accept the access key or secret key")
			}, func() string { return err.Error() })
			err = wrong.EnsureTopics(t.Context(), rocketmq.Topic{Name: testserver.Topic(t)})
			require.ErrorContains(t, err, "does not accept the access key or secret key")
		})
	}
	got := newInbox()
	sub := newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience})
	got.start(subscribe(t, sub, topic))
	got.has(t, sent)
	require.NoError(t, sub.Close())
	lag, err := bus.Lag(t.Context(), "g", topic)
	require.NoError(t, err)
	require.Zero(t, lag)
}

// brokerIsKilled and started again, while messages are published and consumed:
// what was published is consumed.
func brokerIsKilled(t *testing.T, server *testserver.RocketMQServer, cfg rocketmq.Config) {
	bus := openBus(t, cfg)
	topic := newTopic(t, bus, 2)
	got := newInbox()
	for range 2 {
		got.start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience}), topic))
	}
	var mu sync.Mutex
	var published []*message.Message
	stop := make(chan struct{})
	var publishers sync.WaitGroup
	for range 4 {
		p := newPublisher(t, bus, rocketmq.PublisherConfig{})
		publishers.Go(func() {
			for {
				batch := messages(5)
				for { // the same ones again until they are published
					err := p.Publish(topic, batch...)
					if err == nil {
						break
					}
					if !errors.Is(err, messaging.ErrUnavailable) {
						t.Errorf("a broker that is away is nobody's fault: %v", err)
						return
					}
				}
				mu.Lock()
				published = append(published, batch...)
				mu.Unlock()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(published)
	}
	for range testserver.Volume(1, 5) {
		n := count()
		eventually(t, func() bool { return count() > n+100 && got.len() > n }, func() string { return "nothing is published, or consumed" })
		server.KillBroker()
		server.RestartBroker()
	}
	n := count()
	eventually(t, func() bool { return count() > n+100 }, func() string { return "nothing is published after the restart" })
	close(stop)
	publishers.Wait()
	got.has(t, slices.Clone(published))
}

// nameServerIsKilled: what is known goes on without it, and what is not is
// nobody's fault.
func nameServerIsKilled(t *testing.T, server *testserver.RocketMQServer, cfg rocketmq.Config) {
	bus := openBus(t, cfg)
	topic, unknown := newTopic(t, bus, 1), newTopic(t, bus, 1)
	p := newPublisher(t, bus, rocketmq.PublisherConfig{})
	got := newInbox()
	got.start(subscribe(t, newSubscriber(t, bus, rocketmq.SubscriberConfig{DrainTimeout: patience}), topic))
	sent := messages(5)
	require.NoError(t, p.Publish(topic, sent...))
	got.has(t, sent)
	server.KillNameServer()
	more := messages(5)
	require.NoError(t, p.Publish(topic, more...))
	got.has(t, more)
	require.ErrorIs(t, p.Publish(unknown, messages(1)...), messaging.ErrUnavailable)
	require.ErrorIs(t, bus.EnsureTopics(t.Context(), rocketmq.Topic{Name: unknown}), messaging.ErrUnavailable)
	server.RestartNameServer()
	eventually(t, func() bool { return p.Publish(unknown, messages(1)...) == nil }, func() string { return "it does not recover" })
}
