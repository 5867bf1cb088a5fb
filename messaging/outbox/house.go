package outbox

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"
)

// keepHouse measures the table and sweeps it until ctx ends.
func (r *Relay) keepHouse(ctx context.Context) {
	swept := time.Now().Add(-time.Duration(rand.Int64N(int64(r.cfg.SweepInterval))))
	for {
		rest(ctx, jitter(r.cfg.StatsInterval))
		if ctx.Err() != nil {
			return
		}
		err := r.measure(ctx)
		if err == nil && time.Since(swept) >= jitter(r.cfg.SweepInterval) {
			swept = time.Now()
			err = r.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "outbox: housekeeping failed, the next round goes on", slog.Any("error", err))
		}
	}
}

// jitter is d, give or take a tenth: what is started at once should not work at
// once.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1))
}

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
