package outbox

import (
	"context"
	"database/sql"
	"time"
)

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
			n, err := r.delete(ctx, old)
			if err != nil {
				return err
			}
			deleted += n
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

func (r *Relay) delete(ctx context.Context, seqs []int64) (n int64, err error) {
	err = r.outbox.transact(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "DELETE FROM outbox WHERE seq IN "+list(seqs))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	r.outbox.telemetry.swept.Add(ctx, n, r.outbox.telemetry.with)
	return n, err
}

// old looks at a chunk and returns what of it may go, and where the next one
// begins, 0 if there is none. What is old never becomes young: a message that
// is done stays so.
func (r *Relay) old(ctx context.Context, after int64) (old []int64, next int64, err error) {
	s := r.outbox.sql
	rows, err := r.outbox.cfg.DB.QueryContext(ctx, "SELECT seq, CASE WHEN created_at > "+s.in(-r.cfg.Retention)+" THEN 1 ELSE 0 END,"+
		" CASE WHEN (settled_at > 0 AND settled_at <= "+s.in(-r.cfg.Retention)+") OR (state = 'SENT' AND expects_result = 0 AND sent_at <= "+s.in(-r.cfg.Retention)+") THEN 1 ELSE 0 END"+
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
