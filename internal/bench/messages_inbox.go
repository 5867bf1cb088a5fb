package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// manyHandlers is how many handlers work at once where it is said that many do.
const manyHandlers = 16

// inboxOverhead measures inbox_overhead and inbox_overhead_16. The messages come
// from no broker, and are made and decoded with the inbox and without.
func (m *messagesRun) inboxOverhead(ctx context.Context) error {
	box, err := m.newInbox(ctx, "bench", handler(func() {}, func(load) {}))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var n atomic.Int64
	next := func(ctx context.Context) (*message.Message, error) {
		msg, err := newLoad("bench", int(n.Add(1)))
		return asSent(ctx, msg), err
	}
	plain := func(ctx context.Context, _ int) error {
		msg, err := next(ctx)
		if err != nil {
			return err
		}
		l, err := decode(msg)
		if err != nil {
			return err
		}
		return m.charge(ctx, l.Number)
	}
	handled := func(ctx context.Context, _ int) error {
		msg, err := next(ctx)
		if err != nil {
			return err
		}
		return box.Handle(msg)
	}
	for _, handlers := range []int{1, manyHandlers} {
		var without, with Round
		if err := m.inTurns(ctx, handlers, []Operation{plain, handled}, []*Round{&without, &with}); err != nil {
			return err
		}
		ratio := float64(with.Quantile(50)) / float64(without.Quantile(50))
		name := "inbox_overhead"
		if handlers > 1 {
			ratio, name = without.PerSecond()/with.PerSecond(), fmt.Sprintf("inbox_overhead_%d", handlers)
		}
		m.figures[name] = rounded(ratio, 3)
		fmt.Fprintf(m.cfg.Out, "one UPDATE, %2d handlers: alone %5.0f/s  p50 %s   with the inbox %5.0f/s  p50 %s   ratio %.3f\n", handlers,
			without.PerSecond(), milliseconds(without.Quantile(50)), with.PerSecond(), milliseconds(with.Quantile(50)), m.figures[name])
	}
	return nil
}

// consumed measures consumed_per_s_16. In each round the handlers wait until the
// broker has all of its messages.
func (m *messagesRun) consumed(ctx context.Context) (err error) {
	topic, err := m.topic(ctx, "consume")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var gate sync.RWMutex
	var done atomic.Int64
	stop, err := m.consume(ctx, topic, manyHandlers, handler(func() { gate.RLock(); defer gate.RUnlock() }, func(load) { done.Add(1) }))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	var sum Round
	for n := range m.cfg.Rounds + 1 {
		messages := m.cfg.Messages
		if n == 0 {
			messages = min(messages, 100)
		}
		done.Store(0)
		gate.Lock()
		err := m.send(ctx, topic, messages)
		begin := time.Now()
		gate.Unlock()
		if err != nil {
			return fmt.Errorf("bench: publish: %w", err)
		}
		if err := await(ctx, "all to be consumed", func() bool { return done.Load() == int64(messages) }); err != nil {
			return err
		}
		if n > 0 {
			sum.Add(Round{Done: int64(messages), Took: time.Since(begin), Latencies: newHistogram()})
		}
	}
	m.figures["consumed_per_s_16"] = rounded(sum.PerSecond(), 0)
	fmt.Fprintf(m.cfg.Out, "consumed with %d handlers: %.0f/s\n", manyHandlers, sum.PerSecond())
	return nil
}
