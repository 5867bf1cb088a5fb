package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range of latencies that are told apart, to three digits.
const (
	shortest = time.Microsecond
	longest  = 10 * time.Minute
	digits   = 3
)

// Operation is what a client does again and again. client counts from 0; calls with the same number never
// run at once.
type Operation func(ctx context.Context, client int) error

// Round is what a number of clients did in a certain time.
type Round struct {
	// Done is how many operations succeeded.
	Done int64
	// Took is the time from the first operation's begin to the last one's end, and what was waited for
	// after it (see Settle).
	Took time.Duration
	// Latencies are those of the operations.
	Latencies *hdrhistogram.Histogram
}

// Run has each of a number of clients do op, and when it is done at once again, until the time is up. An
// operation under way is then finished. The first error ends the run and is returned.
func Run(ctx context.Context, clients int, duration time.Duration, op Operation) (Round, error) {
	if clients < 1 || duration <= 0 {
		return Round{}, fmt.Errorf("bench: %d clients for %s: want at least one, for some time", clients, duration)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	histograms := make([]*hdrhistogram.Histogram, clients)
	begin := time.Now()
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			h := newHistogram()
			histograms[client] = h
			for time.Since(begin) < duration && ctx.Err() == nil {
				start := time.Now()
				if err := op(ctx, client); err != nil {
					cancel(err)
					return
				}
				record(h, time.Since(start))
			}
		})
	}
	all.Wait()
	r := Round{Took: time.Since(begin), Latencies: newHistogram()}
	for _, h := range histograms {
		r.Latencies.Merge(h)
	}
	r.Done = r.Latencies.TotalCount()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, nil
}

// Settle waits until settled reports true and adds that time to the round: work that the system accepted
// but had still to do counts only when it is done.
func (r *Round) Settle(ctx context.Context, settled func(context.Context) (bool, error)) error {
	begin := time.Now()
	defer func() { r.Took += time.Since(begin) }()
	const pause = 20 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		done, err := settled(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("bench: what was committed is not carried out yet: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// Add adds the figures of another round of the same kind.
func (r *Round) Add(other Round) {
	if r.Latencies == nil {
		r.Latencies = newHistogram()
	}
	r.Done += other.Done
	r.Took += other.Took
	r.Latencies.Merge(other.Latencies)
}

// PerSecond is how many operations were done a second.
func (r *Round) PerSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Done) / r.Took.Seconds()
}

// Quantile is the latency that the given percentage of operations did not exceed.
func (r *Round) Quantile(percent float64) time.Duration {
	if r.Latencies == nil {
		return 0
	}
	return time.Duration(r.Latencies.ValueAtQuantile(percent)) * time.Microsecond
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(shortest/time.Microsecond), int64(longest/time.Microsecond), digits)
}

// record keeps a latency; one beyond the range counts as the range's end.
func record(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(int64(min(max(took, shortest), longest) / time.Microsecond)) // in range, so no error
}
