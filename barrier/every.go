package barrier

import (
	"context"
	"math/rand/v2"
	"time"
)

// every calls f each time the interval has passed, give or take a tenth, until
// ctx ends. The first time comes at a random moment within an interval: what is
// started at once should not work at once.
func every(ctx context.Context, interval time.Duration, f func()) {
	wait := time.Duration(rand.Int64N(int64(interval)) + 1)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		f()
		tenth := int64(interval) / 10
		timer.Reset(interval - time.Duration(tenth) + time.Duration(rand.Int64N(2*tenth+1)))
	}
}
