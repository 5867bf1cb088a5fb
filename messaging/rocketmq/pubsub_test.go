package rocketmq_test

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// conformance is how watermill's own suite makes publishers and subscribers: each
// with connections of its own, as if in a process of its own.
func conformance(t *testing.T, cfg rocketmq.SubscriberConfig) (tests.PubSubConstructor, tests.ConsumerGroupPubSubConstructor) {
	bus := open(t, rocketmq.Config{})
	inGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		p, err := bus.Publisher(rocketmq.PublisherConfig{})
		require.NoError(t, err)
		cfg := cfg
		cfg.Group = group
		s, err := bus.Subscriber(cfg)
		require.NoError(t, err)
		return p, s
	}
	return func(t *testing.T) (message.Publisher, message.Subscriber) { return inGroup(t, "watermill") }, inGroup
}

var (
	features = tests.Features{ConsumerGroups: true, Persistent: true}
	ordered  = tests.Features{ConsumerGroups: true, Persistent: true, GuaranteedOrder: true}
	quick    = rocketmq.SubscriberConfig{NackDelay: 5 * time.Millisecond, DrainTimeout: 100 * time.Millisecond}
)

// TestPubSub is watermill's conformance suite. In `make test` it runs with fewer
// messages and subscribers, in `make test-long` in full.
func TestPubSub(t *testing.T) {
	t.Parallel()
	features := features
	features.ForceShort = testserver.Volume(1, 0) == 1
	one, inGroup := conformance(t, quick)
	tests.TestPubSub(t, features, one, inGroup)
}

// TestPubSubInOrder is the same suite on topics of one queue.
func TestPubSubInOrder(t *testing.T) {
	t.Parallel()
	features := ordered
	features.ForceShort = testserver.Volume(1, 0) == 1
	cfg := quick
	cfg.Ordered = true
	one, inGroup := conformance(t, cfg)
	tests.TestPubSub(t, features, one, inGroup)
}

// TestPubSubStress is, in `make test-long`, the suite ten times at once, or
// STRESS_TEST_COUNT times.
func TestPubSubStress(t *testing.T) {
	if testserver.Volume(0, 1) == 0 {
		return
	}
	features := features
	features.ForceShort = true
	one, inGroup := conformance(t, quick)
	tests.TestPubSubStressTest(t, features, one, inGroup)
}
