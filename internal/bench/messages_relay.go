package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging/outbox"
)

// relay measures relay_speedup, in turns.
func (m *messagesRun) relay(ctx context.Context) error {
	topic, err := m.topic(ctx, "relay")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var single, relayed Round
	for n := range m.cfg.Rounds + 1 {
		duration, messages := m.cfg.Duration, m.cfg.Messages
		if n == 0 {
			duration, messages = min(duration, warmUp), min(messages, 1000)
		}
		s, err := m.sendSingly(ctx, topic, duration)
		if err != nil {
			return err
		}
		r, err := m.relayAll(ctx, topic, messages)
		if err != nil {
			return err
		}
		if n > 0 {
			single.Add(s)
			relayed.Add(r)
		}
	}
	m.figures["single_per_s"] = rounded(single.PerSecond(), 0)
	m.figures["relay_per_s"] = rounded(relayed.PerSecond(), 0)
	m.figures["relay_speedup"] = rounded(relayed.PerSecond()/single.PerSecond(), 2)
	fmt.Fprintf(m.cfg.Out, "publishing: one by one %.0f/s  p50 %s  p99 %s   by a relay %.0f/s   ratio %.2f\n", single.PerSecond(),
		milliseconds(single.Quantile(50)), milliseconds(single.Quantile(99)), relayed.PerSecond(), m.figures["relay_speedup"])
	return nil
}

// sendSingly has one client send one message after another.
func (m *messagesRun) sendSingly(ctx context.Context, topic string, duration time.Duration) (Round, error) {
	n := 0
	r, err := Run(ctx, 1, duration, func(ctx context.Context, _ int) error {
		n++
		msg, err := newLoad(topic, n)
		if err != nil {
			return err
		}
		return m.sender.Publish(topic, asSent(ctx, msg))
	})
	if err != nil {
		return r, fmt.Errorf("bench: publish: %w", err)
	}
	return r, nil
}

// relayAll has a relay publish n messages, until it has noted of all of them that
// they are.
func (m *messagesRun) relayAll(ctx context.Context, topic string, n int) (Round, error) {
	if err := m.fill(ctx, topic, n); err != nil {
		return Round{}, fmt.Errorf("bench: write messages: %w", err)
	}
	counting := &countingPublisher{Publisher: m.sender}
	relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: m.outbox, Publisher: counting})
	if err != nil {
		return Round{}, fmt.Errorf("bench: %w", err)
	}
	running, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	r := Round{Done: int64(n), Latencies: newHistogram()}
	begin := time.Now()
	wg.Go(func() { relay.Run(running) })
	if err := await(ctx, "a relay", func() bool { return counting.n.Load() >= int64(n) }); err != nil {
		return r, err
	}
	r.Took = time.Since(begin)
	return r, r.Settle(ctx, func(ctx context.Context) (bool, error) {
		var left int
		err := m.store.DB().QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM outbox WHERE state = 'NEW')").Scan(&left)
		return left == 0, err
	})
}

// countingPublisher counts what was published.
type countingPublisher struct {
	message.Publisher
	n atomic.Int64
}

func (p *countingPublisher) Publish(topic string, msgs ...*message.Message) error {
	err := p.Publisher.Publish(topic, msgs...)
	if err == nil {
		p.n.Add(int64(len(msgs)))
	}
	return err
}
