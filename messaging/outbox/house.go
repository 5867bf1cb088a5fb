package outbox

import (
	"context"
	"database/sql"
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
	return r.outbox.wakeSleepers(ctx)
}

// wakeSleepers makes due what is first in its lane and parked. Nothing should
// be: it mends what a result did that came before its message was marked by a
// relay that has died, or a row that somebody has deleted by hand.
func (o *Outbox) wakeSleepers(ctx context.Context) error {
	asleep, err := numbers(o.cfg.DB.QueryContext(ctx, "SELECT o.seq FROM (SELECT MIN(seq) AS seq FROM outbox"+o.sql.by("outbox_lane")+
		" WHERE lane IS NOT NULL GROUP BY lane) AS head JOIN outbox AS o ON o.seq = head.seq WHERE o.state = 'NEW' AND o.due_at IS NULL LIMIT 1000"))
	if err != nil || len(asleep) == 0 {
		return err
	}
	_, err = o.cfg.DB.ExecContext(ctx, "UPDATE outbox"+o.sql.by("PRIMARY")+" SET due_at = "+o.sql.Now()+" WHERE seq IN "+list(asleep)+" AND state = 'NEW' AND due_at IS NULL")
	return err
}

// sweepChunk is how many rows a sweep looks at together, and restFactor how many
// times as long as that took it rests.
const (
	sweepChunk = 1000
	restFactor = 3
)

// sweep deletes what was done long ago. It walks the primary key, which is in
// the order of time, and ends at the first message that is too young.
func (r *Relay) sweep(ctx context.Context) error {
	var after, deleted int64
	for {
		began := time.Now()
		old, next, err := r.old(ctx, after)
		if err != nil {
			return err
		}
		if len(old) > 0 {
			res, err := r.outbox.cfg.DB.ExecContext(ctx, "DELETE FROM outbox WHERE seq IN "+list(old))
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			deleted += n
			r.outbox.telemetry.swept.Add(ctx, n, r.outbox.telemetry.with)
		}
		if next == 0 {
			if deleted > 0 {
				r.outbox.cfg.Logger.InfoContext(ctx, "outbox: swept", "deleted", deleted)
			}
			return nil
		}
		after = next
		rest(ctx, restFactor*time.Since(began))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// old looks at a chunk and returns what of it may go, and where the next one
// begins, 0 if there is none. What is old never becomes young: a message that
// is done stays so.
func (r *Relay) old(ctx context.Context, after int64) (old []int64, next int64, err error) {
	s := r.outbox.sql
	rows, err := r.outbox.cfg.DB.QueryContext(ctx, "SELECT seq, CASE WHEN created_at > "+s.in(-r.cfg.Retention)+" THEN 1 ELSE 0 END,"+
		" CASE WHEN (state = 'CONFIRMED' AND settled_at <= "+s.in(-r.cfg.Retention)+") OR (state = 'SENT' AND expects_result = 0 AND sent_at <= "+s.in(-r.cfg.Retention)+") THEN 1 ELSE 0 END"+
		" FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", after, sweepChunk)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for ; rows.Next(); n++ {
		var young, done bool
		if err := rows.Scan(&next, &young, &done); err != nil {
			return nil, 0, err
		}
		if young {
			return old, 0, nil
		}
		if done {
			old = append(old, next)
		}
	}
	if n < sweepChunk {
		next = 0
	}
	return old, next, rows.Err()
}

// Stats is how much is in an outbox.
type Stats struct {
	// New, Awaiting and Failed count messages: not published yet, sent and the
	// result did not come yet, given up or refused by the receiver.
	New, Awaiting, Failed int64
	// Age is that of the oldest New message, 0 if there is none.
	Age time.Duration
}

// Stats counts. It reads an entry of an index for each message that it counts,
// and nothing for those that are done.
func (o *Outbox) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	var age sql.NullInt64
	// MySQL finds the topics by jumping from one to the next in the index.
	err := o.cfg.DB.QueryRowContext(ctx, "SELECT (SELECT COUNT(*) FROM outbox WHERE state = 'NEW'), (SELECT COUNT(*) FROM outbox WHERE state = 'FAILED'),"+
		" (SELECT COUNT(*) FROM (SELECT DISTINCT topic FROM outbox"+o.sql.by("outbox_due")+" WHERE state = 'SENT') AS t JOIN outbox AS o"+o.sql.by("outbox_due")+" ON o.state = 'SENT' AND o.topic = t.topic AND o.due_at > 0),"+
		" (SELECT "+o.sql.Now()+" - created_at FROM outbox WHERE seq = (SELECT MIN(seq) FROM outbox WHERE state = 'NEW'))").
		Scan(&s.New, &s.Failed, &s.Awaiting, &age)
	s.Age = max(0, time.Duration(age.Int64)*time.Millisecond)
	return s, wrap("count messages", err)
}
