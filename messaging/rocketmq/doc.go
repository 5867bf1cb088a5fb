// Package rocketmq is watermill's Publisher and Subscriber on RocketMQ 5, or,
// if no name server is given, within the process.
//
//	bus, err := rocketmq.Open(ctx, rocketmq.Config{NameServers: []string{"rocketmq:9876"}})
//	err = bus.EnsureTopics(ctx, rocketmq.Topic{Name: "order-confirmed"})
//	publisher, err := bus.Publisher(rocketmq.PublisherConfig{})
//	subscriber, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: "cart"})
//
// It promises: Publish returns nil only when a broker has stored every message,
// on disk as far as the broker is set up to, and returns when the message's
// context ends. A message is delivered to each group until one of its members
// acknowledges it, more than once now and then: inbox handles that. Nothing is
// ever left to the broker's own retry. Close waits for what is being handled
// and returns when what was acknowledged is known to the broker.
//
// The Go client of RocketMQ (v2.1.2) does not do these things by itself. What it
// does instead, and what is done about it, is told where it is done.
package rocketmq
