package outbox

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// nap is how long a worker waits that found nothing where something is due:
// another one is at it.
const nap = 20 * time.Millisecond

// worker is one goroutine of a relay: it claims a batch, publishes it, and
// marks what became of it, again and again.
type worker struct {
	*Relay
	token  string
	claims int64
	failed failures // of the database
}

// queue is what is claimed together: messages of a topic that are New, or Sent
// and their result is overdue.
type queue struct {
	topic string
	state State
}

// due is a queue, and how long until something in it is due.
type due struct {
	queue
	in time.Duration
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
	queues, err := w.look(ctx)
	if err != nil {
		return 0, err
	}
	wait, found := w.cfg.Poll, 0
	for _, q := range queues {
		if q.in = max(q.in, w.pauses.left(q.queue)); q.in > 0 {
			wait = min(wait, q.in)
			continue
		}
		wait = min(wait, nap)
		n, err := w.pass(ctx, q.queue)
		if err != nil {
			return 0, err
		}
		found += n
	}
	if found > 0 {
		return 0, nil
	}
	return wait, nil
}

// look finds out where something is due and when: those that are New first, and
// otherwise in no order, so that workers do not go after each other.
func (w *worker) look(ctx context.Context) ([]due, error) {
	s := w.outbox.sql
	rows, err := w.outbox.cfg.DB.QueryContext(ctx, "SELECT state, topic, MIN(due_at) - "+s.Now()+" FROM outbox"+s.by("outbox_due")+
		" WHERE state IN ('NEW', 'SENT') AND due_at > 0 GROUP BY state, topic")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var queues []due
	for rows.Next() {
		var q due
		var ms int64
		if err := rows.Scan(&q.state, &q.topic, &ms); err != nil {
			return nil, err
		}
		q.in = time.Duration(ms) * time.Millisecond
		queues = append(queues, q)
	}
	rand.Shuffle(len(queues), func(i, j int) { queues[i], queues[j] = queues[j], queues[i] })
	slices.SortStableFunc(queues, func(a, b due) int { return cmp.Compare(a.state, b.state) })
	return queues, rows.Err()
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
		err = w.mark(ctx, b)
	}
	return b.found, err
}

// nextToken names a claim: what was claimed under another name, before a lease
// ended, is not this one's any more.
func (w *worker) nextToken() string {
	w.claims++
	return w.token + "-" + strconv.FormatInt(w.claims, 10)
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
