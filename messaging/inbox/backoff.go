package inbox

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"
)

// Backoff says how long a failed message waits: Min after the first try, each
// time Factor times as long, up to Max, give or take Jitter, which is a share of
// the delay. The zero value means 100 ms, 1 minute, 3 and 0.1.
type Backoff struct {
	Min    time.Duration
	Max    time.Duration
	Factor float64
	Jitter float64
}

func (b *Backoff) setDefaults() error {
	if b.Min == 0 {
		b.Min = 100 * time.Millisecond
	}
	if b.Max == 0 {
		b.Max = max(b.Min, time.Minute)
	}
	if b.Factor == 0 {
		b.Factor = 3
	}
	if b.Jitter == 0 {
		b.Jitter = .1
	}
	if b.Min < 0 || b.Max < b.Min || b.Factor < 1 || b.Jitter < 0 || b.Jitter > 1 {
		return errors.New("want 0 < Min <= Max, Factor >= 1 and 0 <= Jitter <= 1 in Backoff")
	}
	return nil
}

// after returns the delay after n tries.
func (b Backoff) after(n int) time.Duration {
	d := min(float64(b.Min)*math.Pow(b.Factor, float64(max(n, 1)-1)), float64(b.Max))
	return time.Duration(d * (1 + b.Jitter*(2*rand.Float64()-1)))
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
