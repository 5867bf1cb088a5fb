package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

// DefaultQueues is how many queues a topic gets by default.
const DefaultQueues = 4

// Topic is one to be created.
type Topic struct {
	// Name is of letters, digits, dots, - and _, up to 127 of them. To RocketMQ
	// a dot is a _, so that names which differ by these alone are one topic.
	Name string
	// Queues is how many queues it has on each broker: how many members of a
	// group can read it at once. One keeps all of its messages in order. 0
	// means [DefaultQueues].
	Queues int
}

// topicTimeout bounds how long brokers may take to create a topic, for which
// they write down all topics that they have, and to tell the name servers.
const topicTimeout = 30 * time.Second

// EnsureTopics creates the topics that do not exist, on all brokers, and
// returns when the name server knows each with its queues. A topic that exists
// is left as it is, also with another number of queues, and needs no right to
// create any. On a bus within the process it checks the names.
func (b *Bus) EnsureTopics(ctx context.Context, topics ...Topic) error {
	for _, t := range topics {
		if t.Queues == 0 {
			t.Queues = DefaultQueues
		}
		if err := b.ensureTopic(ctx, t); err != nil {
			return fmt.Errorf("rocketmq: topic %s: %w", t.Name, err)
		}
	}
	return nil
}

func (b *Bus) ensureTopic(ctx context.Context, t Topic) error {
	if err := checkName("topic", t.Name, maxTopic); err != nil {
		return err
	}
	if t.Queues < 0 {
		return fmt.Errorf("want more than %d queues", t.Queues)
	}
	if b.InProcess() {
		return nil
	}
	t.Name = atBroker(t.Name)
	r, err := b.route(ctx, t.Name)
	if err != nil || len(r.Queues) > 0 {
		return err
	}
	brokers, err := b.brokers(ctx)
	if err != nil {
		return err
	}
	if len(brokers) == 0 {
		return messaging.Unavailable(errors.New("the name server knows of no broker"))
	}
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	for name, addr := range brokers {
		if err := b.admin.CreateTopic(ctx, addr, t.Name, t.Queues); err != nil {
			return refusedBy(name, err)
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := b.route(ctx, t.Name)
		if err == nil && len(r.Queues) >= t.Queues*len(brokers) {
			return nil
		}
		select {
		case <-ctx.Done():
			return messaging.Unavailable(fmt.Errorf("created, but the name server does not know it on all of %d brokers after %s (%w)",
				len(brokers), topicTimeout, errors.Join(ctx.Err(), err)))
		case <-tick.C:
		}
	}
}

// verifyTopic reports a topic that cannot be subscribed to.
func (b *Bus) verifyTopic(ctx context.Context, topic string) error {
	r, err := b.route(ctx, topic)
	if err != nil || len(r.Queues) > 0 {
		return err
	}
	return b.classifyNoRoute(ctx, topic)
}
