package cart_test

import (
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// The consumer at the end of a bus: once a message is acknowledged, the cart is
// clean.
func TestACartAtTheEndOfABus(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		log := databasetest.Logger(t)
		bus, err := rocketmq.Open(t.Context(), rocketmq.Config{Logger: log})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, bus.Close()) })
		consumer := b.service.Consumers()[0]
		topic := strings.ReplaceAll(consumer.Topic, ".", "_") // RocketMQ's know no dots
		subscriber, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: consumer.Name})
		require.NoError(t, err)
		router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLogger(log))
		require.NoError(t, err)
		router.AddConsumerHandler(consumer.Name, topic, subscriber, b.box().Handle)
		ended := make(chan error, 1)
		go func() { ended <- router.Run(t.Context()) }()
		select {
		case <-router.Running():
		case err := <-ended:
			require.FailNow(t, "the router does not run", "%v", err)
		}
		t.Cleanup(func() {
			require.NoError(t, router.Close())
			require.NoError(t, <-ended)
		})

		publisher, err := bus.Publisher(rocketmq.PublisherConfig{})
		require.NoError(t, err)
		ordered, stays := b.add("ann", "r1"), b.add("ann", "r2")
		msg := confirmed(t, "ann", ordered)
		for range 2 {
			require.NoError(t, publisher.Publish(topic, msg.Copy()))
			require.Equal(t, []string{stays}, b.lines("ann"))
		}
	})
}
