package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// rate is how many messages a second the latency is measured at.
const rate = 100

// endToEnd measures end_to_end_*: a service that changes a row and writes a
// message in each transaction, its relay, the broker, and a consumer that
// changes a row in the inbox's transaction.
func (m *messagesRun) endToEnd(ctx context.Context) (err error) {
	topic, err := m.topic(ctx, "latency")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	warm := max(1, int(min(warmUp, m.cfg.Duration).Seconds()*rate))
	n := warm + max(1, int(m.cfg.Duration.Seconds()*float64(m.cfg.Rounds)*rate))
	committed, consumed := make([]atomic.Int64, n), make([]atomic.Int64, n) // nanoseconds since begin
	begin := time.Now()
	var done atomic.Int64
	stop, err := m.consume(ctx, topic, 0, handler(func() {}, func(l load) {
		consumed[l.Number].Store(int64(time.Since(begin)))
		done.Add(1)
	}))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	stopRelay, err := m.startRelay(ctx)
	if err != nil {
		return err
	}
	defer stopRelay()

	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for i := range n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := m.announce(ctx, topic, i); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		committed[i].Store(int64(time.Since(begin)))
		if i == warm-1 { // the consumer has found the topic's queues
			if err := await(ctx, "the first messages", func() bool { return done.Load() == int64(warm) }); err != nil {
				return err
			}
		}
	}
	if err := await(ctx, "the last messages", func() bool { return done.Load() == int64(n) }); err != nil {
		return err
	}
	latencies := Round{Latencies: newHistogram()}
	for i := warm; i < n; i++ {
		record(latencies.Latencies, time.Duration(consumed[i].Load()-committed[i].Load()))
	}
	for name, percent := range map[string]float64{"p50": 50, "p99": 99} {
		m.figures["end_to_end_"+name+"_ms"] = rounded(float64(latencies.Quantile(percent))/float64(time.Millisecond), 2)
	}
	fmt.Fprintf(m.cfg.Out, "from commit to consumed, %d messages a second: p50 %s  p95 %s  p99 %s\n", rate,
		milliseconds(latencies.Quantile(50)), milliseconds(latencies.Quantile(95)), milliseconds(latencies.Quantile(99)))
	return nil
}
