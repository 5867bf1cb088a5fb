package outbox

import (
	"context"
	"log/slog"
	"time"
)

// nap is how long a worker waits that found nothing where something is due, for
// another one is at it. It doubles from time to time, up to the poll interval.
const nap = 10 * time.Millisecond

// worker is one goroutine of a relay: it claims a batch, publishes it, and
// marks what became of it, again and again.
type worker struct {
	*Relay
	failed failures // of the database
	missed int      // rounds one after another that found nothing where something is due
}

func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := w.round(ctx)
		if err != nil && ctx.Err() == nil {
			wait = w.failed.next()
			w.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "outbox: the relay cannot work, and tries again", slog.Duration("in", wait), slog.Any("error", err))
			rest(ctx, wait)
			continue
		}
		w.failed = failures{}
		w.sleep(ctx, wait)
	}
}

// round publishes a batch of each queue in which something is due, and returns
// how long there is nothing to do.
func (w *worker) round(ctx context.Context) (time.Duration, error) {
	queues, err := w.queues(ctx)
	if err != nil {
		return 0, err
	}
	wait, due, found := w.cfg.Poll, false, 0
	for _, q := range queues {
		if q.in = max(q.in, w.pauses.left(q.queue)); q.in > 0 {
			wait = min(wait, q.in)
			continue
		}
		due = true
		n, err := w.pass(ctx, q.queue)
		if err != nil {
			return 0, err
		}
		found += n
	}
	if found > 0 {
		w.missed = 0
		return 0, nil
	}
	if due {
		w.missed++
		wait = min(wait, backoff(w.missed, nap, max(nap, w.cfg.Poll)))
	}
	return wait, nil
}

// queues finds out where something is due. A connection that has fallen silent
// must not keep the worker.
func (w *worker) queues(ctx context.Context) ([]due, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Lease)
	defer cancel()
	return w.outbox.queues(ctx)
}

// pass claims a batch, publishes it and marks it. It returns how many messages
// it found, blocked ones too.
func (w *worker) pass(ctx context.Context, q queue) (int, error) {
	b, err := w.claim(ctx, q)
	if err != nil {
		return 0, err
	}
	if len(b.items) > 0 {
		w.publish(ctx, b)
		w.tell(ctx, b)
		err = w.mark(ctx, b)
	}
	return b.found, err
}

// sleep waits until something may be due, or a worker is needed.
func (w *worker) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// rest waits, whoever wakes.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
