package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// housekeeping is the time between two sweeps.
	housekeeping = 15 * time.Second
	// sweepChunk is how many rows are deleted at once.
	sweepChunk = 500
	// restFactor is how many times as long as a chunk took the sweep rests
	// after it: the database is there for the messages.
	restFactor = 3
)

// keepHouse deletes old rows and counts those that need attention, until ctx
// ends.
func (i *Inbox) keepHouse(ctx context.Context) {
	for {
		err := errors.Join(i.countRows(ctx), i.sweep(ctx))
		if err != nil && ctx.Err() == nil {
			i.cfg.Logger.WarnContext(ctx, "inbox: sweeping failed, it is tried again", "after", housekeeping.String(), "error", err)
		}
		if pause(ctx, housekeeping) != nil {
			return
		}
	}
}

// sweep deletes what was handled longer ago than the retention.
func (i *Inbox) sweep(ctx context.Context) error {
	for {
		began := time.Now()
		n, err := i.sweepOnce(ctx)
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if n < sweepChunk {
			return nil
		}
		if err := pause(ctx, restFactor*time.Since(began)); err != nil {
			return err
		}
	}
}

// sweepOnce reads one chunk of the index without locks and deletes by key, so
// that it never locks a range in which a delivery may write. It returns how many
// rows it has met.
func (i *Inbox) sweepOnce(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	args, err := i.old(ctx)
	if err != nil || len(args) == 0 {
		return 0, err
	}
	n = len(args)
	res, err := i.cfg.DB.ExecContext(ctx, i.sql.sweep+" AND message_id IN (?"+strings.Repeat(", ?", n-1)+")", append([]any{i.cfg.Consumer}, args...)...)
	if err != nil {
		return 0, err
	}
	deleted, err := res.RowsAffected()
	if err != nil {
		return 0, err
	}
	i.telemetry.swept.Add(ctx, deleted, i.telemetry.with)
	return n, nil
}

func (i *Inbox) old(ctx context.Context) (ids []any, err error) {
	rows, err := i.cfg.DB.QueryContext(ctx, i.sql.old, i.cfg.Consumer, sweepChunk)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// countRows measures how many messages are parked and dead.
func (i *Inbox) countRows(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	rows, err := i.cfg.DB.QueryContext(ctx, i.sql.count, i.cfg.Consumer)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	counts := make(map[State]int64)
	for rows.Next() {
		var s State
		var n int64
		if err := rows.Scan(&s, &n); err != nil {
			return fmt.Errorf("count: %w", err)
		}
		counts[s] = n
	}
	i.telemetry.parked.Record(ctx, counts[Parked], i.telemetry.with)
	i.telemetry.dead.Record(ctx, counts[Dead], i.telemetry.with)
	return rows.Err()
}
