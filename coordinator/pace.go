package coordinator

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// firstDelay and maxDelay bound the waits between attempts after
	// Unavailable. The first is about what a deadlock or a short overload at
	// a participant takes to pass.
	firstDelay = 20 * time.Millisecond
	maxDelay   = time.Second
	// pendingDelay is the wait after a participant said that it is still
	// working: it does not grow.
	pendingDelay = 100 * time.Millisecond
)

// pace spaces attempts: each delay is about twice the one before, up to a
// bound, with jitter so that callers refused together do not return together.
// The zero value is ready.
type pace struct{ last time.Duration }

func (p *pace) next() time.Duration {
	p.last = min(max(2*p.last, firstDelay), maxDelay)
	return p.last/2 + rand.N(p.last/2)
}

// wait waits for d. It reports false, at once, when ctx ends before: an
// attempt after its deadline is of no use.
func wait(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
