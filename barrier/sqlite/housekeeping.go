package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// Sweep implements barrier.Store.
func (s *Store) Sweep(ctx context.Context, opts barrier.SweepOptions) (barrier.SweepResult, error) {
	if err := opts.SetDefaults(); err != nil {
		return barrier.SweepResult{}, err
	}
	now := time.Now()
	n, next, oldest, err := s.chunk(ctx, opts, now)
	if err != nil {
		return barrier.SweepResult{}, fmt.Errorf("barrier/sqlite: sweep: %w", err)
	}
	res, err := s.db.ExecContext(ctx,
		`DELETE FROM sub_transaction_barrier WHERE (gid, branch_id) > (?, ?) AND (gid, branch_id) <= (?, ?) AND state <> 1 AND updated_at < ?`,
		opts.After.GID, opts.After.BranchID, next.GID, next.BranchID, now.Add(-opts.Retention).UnixMilli())
	if err != nil {
		return barrier.SweepResult{}, fmt.Errorf("barrier/sqlite: sweep: %w", err)
	}
	deleted, err := res.RowsAffected()
	if err != nil {
		return barrier.SweepResult{}, err
	}
	return barrier.SweepResult{
		Scanned: n, Deleted: deleted, Oldest: oldest, Next: opts.Beyond(next, now), Done: n < int64(opts.Limit),
	}, nil
}

// chunk counts the rows of one chunk and returns the last of them, and the age
// of the oldest that is terminal.
func (s *Store) chunk(ctx context.Context, opts barrier.SweepOptions, now time.Time) (n int64, last barrier.Position, oldest time.Duration, err error) {
	rows, err := s.db.QueryContext(ctx,
		`SELECT gid, branch_id, state <> 1, updated_at FROM sub_transaction_barrier WHERE (gid, branch_id) > (?, ?) ORDER BY gid, branch_id LIMIT ?`,
		opts.After.GID, opts.After.BranchID, opts.Limit)
	if err != nil {
		return 0, last, 0, err
	}
	defer func() { _ = rows.Close() }()
	last = opts.After
	for rows.Next() {
		var terminal bool
		var at int64
		if err := rows.Scan(&last.GID, &last.BranchID, &terminal, &at); err != nil {
			return 0, last, 0, err
		}
		n++
		if terminal {
			oldest = max(oldest, now.Sub(time.UnixMilli(at)))
		}
	}
	return n, last, oldest, errors.Join(rows.Err(), rows.Close())
}

// Stuck implements barrier.Store.
func (s *Store) Stuck(ctx context.Context, opts barrier.StuckOptions) ([]barrier.StuckBranch, error) {
	if err := opts.SetDefaults(); err != nil {
		return nil, err
	}
	out, err := sqlbranch.StuckBranches(ctx, s.db,
		`SELECT gid, branch_id, COALESCE(method, ''), updated_at, request FROM sub_transaction_barrier WHERE state = 1 AND updated_at < ? AND (gid, branch_id) > (?, ?) ORDER BY gid, branch_id LIMIT ?`,
		time.Now().Add(-opts.OlderThan).UnixMilli(), opts.After.GID, opts.After.BranchID, opts.Limit)
	if err != nil {
		return nil, fmt.Errorf("barrier/sqlite: stuck: %w", err)
	}
	return out, nil
}
