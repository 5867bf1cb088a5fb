package rocketmq_test

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// A bus without name servers is within the process. With them all else is the
// same.
func Example() {
	ctx := context.Background()
	bus, err := rocketmq.Open(ctx, rocketmq.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bus.Close()
	if err := bus.EnsureTopics(ctx, rocketmq.Topic{Name: "order.confirmed"}); err != nil {
		fmt.Println(err)
		return
	}
	subscriber, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: "cart"})
	if err != nil {
		fmt.Println(err)
		return
	}
	orders, err := subscriber.Subscribe(ctx, "order.confirmed")
	if err != nil {
		fmt.Println(err)
		return
	}
	publisher, err := bus.Publisher(rocketmq.PublisherConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}

	published := make(chan error)
	go func() {
		m := message.NewMessage(watermill.NewUUID(), []byte("three lines"))
		m.Metadata.Set(messaging.MetadataKey, "order-7")
		published <- publisher.Publish("order.confirmed", m)
	}()
	m := <-orders
	fmt.Println(m.Metadata.Get(messaging.MetadataKey), "has", string(m.Payload))
	m.Ack()
	fmt.Println(<-published)
	// Output:
	// order-7 has three lines
	// <nil>
}
