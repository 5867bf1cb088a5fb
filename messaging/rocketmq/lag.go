package rocketmq

import (
	"context"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

// lagTimeout bounds what a collection of metrics waits for brokers.
const lagTimeout = 2 * time.Second

// Lag is how many messages of a topic a group of this bus has not acknowledged,
// as the brokers have it: those that are being handled are among them. It needs
// no subscription. A bus within the process keeps no messages, and so has none.
func (b *Bus) Lag(ctx context.Context, group, topic string) (int64, error) {
	if b.InProcess() {
		return 0, nil
	}
	at := atBroker(topic)
	r, err := b.route(ctx, at)
	if err != nil {
		return 0, fmt.Errorf("rocketmq: lag of %s in %s: %w", group, topic, err)
	}
	if len(r.Queues) == 0 {
		return 0, fmt.Errorf("rocketmq: lag of %s: %w: %s", group, ErrUnknownTopic, topic)
	}
	var lag int64
	for _, q := range r.Queues {
		end, err := b.admin.MaxOffset(ctx, at, q)
		if err != nil {
			return 0, fmt.Errorf("rocketmq: lag of %s in %s: %w", group, topic, messaging.Unavailable(err))
		}
		committed, err := b.admin.Committed(ctx, groupOf(group, topic), at, q)
		if err != nil {
			return 0, fmt.Errorf("rocketmq: lag of %s in %s: %w", group, topic, messaging.Unavailable(err))
		}
		lag += max(end-committed, 0)
	}
	return lag, nil
}

// observeLag tells the lag of each group and topic that is subscribed to here.
// What cannot be told just now is left out.
func (b *Bus) observeLag(ctx context.Context, observe func(group, topic string, n int64)) {
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	for _, k := range b.subscribed() {
		if n, err := b.Lag(ctx, k.group, k.topic); err == nil {
			observe(k.group, k.topic, n)
		}
	}
}

type subscribed struct{ group, topic string }

// subscribed returns what is subscribed to here.
func (b *Bus) subscribed() []subscribed {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]subscribed, 0, len(b.live))
	for k := range b.live {
		all = append(all, k)
	}
	return all
}

func (b *Bus) track(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live[subscribed{s.cfg.Group, s.name}]++
}

func (b *Bus) untrack(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := subscribed{s.cfg.Group, s.name}
	if b.live[k]--; b.live[k] == 0 {
		delete(b.live, k)
	}
}
