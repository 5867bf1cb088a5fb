package outbox

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// every calls f each time the interval has passed, give or take a tenth, until
// ctx ends. The first time comes at a random moment within an interval: what is
// started at once should not work at once.
func (r *Relay) every(ctx context.Context, interval time.Duration, what string, f func(ctx context.Context) error) {
	wait := time.Duration(rand.Int64N(int64(interval)) + 1)
	for {
		rest(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		if err := f(ctx); err != nil && ctx.Err() == nil {
			r.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "outbox: "+what+" failed, and is tried again", slog.Any("error", err))
		}
		wait = interval - interval/10 + time.Duration(rand.Int64N(int64(interval)/5+1))
	}
}

// measure records how much there is.
func (r *Relay) measure(ctx context.Context) error {
	s, err := r.outbox.Stats(ctx)
	if err != nil {
		return err
	}
	r.outbox.telemetry.stats(ctx, s)
	// Nothing should be asleep: this mends what a result did that came before its
	// message was marked, by a relay that has died, and a row deleted by hand.
	return r.outbox.wakeLanes(ctx, r.outbox.cfg.DB, nil, r.cfg.Batch)
}
