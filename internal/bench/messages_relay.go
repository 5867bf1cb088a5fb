package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging/outbox"
)

// relay measures relay_speedup and relay_over_sends, in turns.
func (m *messagesRun) relay(ctx context.Context) error {
	topic, err := m.topic(ctx, "relay")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var sent, byHand, relayed Round
	for n := range m.cfg.Rounds + 1 {
		duration, messages := m.cfg.Duration, m.cfg.Messages
		if n == 0 {
			duration, messages = min(duration, warmUp), min(messages, 1000)
		}
		s, err := m.sendSingly(ctx, topic, duration)
		if err != nil {
			return err
		}
		h, err := m.relayByHand(ctx, topic, max(1, messages/10)) // it takes as long
		if err != nil {
			return err
		}
		r, err := m.relayAll(ctx, topic, messages)
		if err != nil {
			return err
		}
		if n > 0 {
			sent.Add(s)
			byHand.Add(h)
			relayed.Add(r)
		}
	}
	m.figures["relay_per_s"] = rounded(relayed.PerSecond(), 0)
	m.figures["relay_speedup"] = rounded(relayed.PerSecond()/byHand.PerSecond(), 2)
	m.figures["relay_over_sends"] = rounded(relayed.PerSecond()/sent.PerSecond(), 2)
	fmt.Fprintf(m.cfg.Out, "rows of an outbox: by a relay %.0f/s   one send and one mark a row %.0f/s, ratio %.2f   sends alone %.0f/s (p50 %s), ratio %.2f\n",
		relayed.PerSecond(), byHand.PerSecond(), m.figures["relay_speedup"], sent.PerSecond(), milliseconds(sent.Quantile(50)), m.figures["relay_over_sends"])
	return nil
}

// sendSingly has one client send one message after another, of which no database
// knows.
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

// relayByHand publishes n rows of the outbox as a loop does that is written by
// hand: it reads some, and sends and marks one after the other.
func (m *messagesRun) relayByHand(ctx context.Context, topic string, n int) (Round, error) {
	var seq int64
	if err := m.store.DB().QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM outbox").Scan(&seq); err != nil {
		return Round{}, fmt.Errorf("bench: %w", err)
	}
	if err := m.fill(ctx, topic, n); err != nil {
		return Round{}, fmt.Errorf("bench: write messages: %w", err)
	}
	r := Round{Latencies: newHistogram()}
	begin := time.Now()
	for r.Done < int64(n) {
		rows, err := m.unsent(ctx, seq)
		if err != nil {
			return r, fmt.Errorf("bench: read messages: %w", err)
		}
		for _, row := range rows {
			seq = row.seq
			if err := m.sender.Publish(topic, asSent(ctx, row.Message)); err != nil {
				return r, fmt.Errorf("bench: publish: %w", err)
			}
			if err := changeOne(m.store.DB().ExecContext(ctx, "UPDATE outbox SET state = 'SENT', sent_at = ? WHERE seq = ?", time.Now().UnixMilli(), seq)); err != nil {
				return r, fmt.Errorf("bench: mark a message: %w", err)
			}
			r.Done++
		}
	}
	r.Took = time.Since(begin)
	return r, nil
}

// unsentRow is a row that is to be published.
type unsentRow struct {
	seq int64
	outbox.Message
}

// unsent reads some rows behind the one given.
func (m *messagesRun) unsent(ctx context.Context, after int64) (out []unsentRow, err error) {
	rows, err := m.store.DB().QueryContext(ctx,
		"SELECT seq, id, message_key, payload FROM outbox FORCE INDEX (PRIMARY) WHERE state = 'NEW' AND seq > ? ORDER BY seq LIMIT 256", after)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r unsentRow
		if err := rows.Scan(&r.seq, &r.ID, &r.Key, &r.Payload); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
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
