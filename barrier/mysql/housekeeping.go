package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// Sweep implements barrier.Store. It reads one chunk of the primary key
// without locks and deletes by key what is old and terminal in it, so that it
// never locks a range that a delivery may need. Two sweeps at once do no harm.
func (s *Store) Sweep(ctx context.Context, opts barrier.SweepOptions) (barrier.SweepResult, error) {
	if err := opts.SetDefaults(); err != nil {
		return barrier.SweepResult{}, err
	}
	rows, err := s.db.QueryContext(ctx,
		"SELECT gid, branch_id, state <> 1, TIMESTAMPDIFF(MICROSECOND, updated_at, UTC_TIMESTAMP(3)) FROM sub_transaction_barrier WHERE (gid = ? AND branch_id > ?) OR gid > ? ORDER BY gid, branch_id LIMIT ?",
		opts.After.GID, opts.After.BranchID, opts.After.GID, opts.Limit)
	if err != nil {
		return barrier.SweepResult{}, fmt.Errorf("barrier/mysql: sweep: %w", err)
	}
	defer func() { _ = rows.Close() }()
	res := barrier.SweepResult{Next: opts.After}
	var old []barrier.Position
	for rows.Next() {
		var p barrier.Position
		var terminal bool
		var micros int64
		if err := rows.Scan(&p.GID, &p.BranchID, &terminal, &micros); err != nil {
			return barrier.SweepResult{}, fmt.Errorf("barrier/mysql: sweep: %w", err)
		}
		res.Scanned++
		res.Next = p
		if !terminal {
			continue
		}
		age := time.Duration(micros) * time.Microsecond
		res.Oldest = max(res.Oldest, age)
		if age > opts.Retention {
			old = append(old, p)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return barrier.SweepResult{}, fmt.Errorf("barrier/mysql: sweep: %w", err)
	}
	res.Done = res.Scanned < int64(opts.Limit)
	res.Next = opts.Beyond(res.Next, time.Now())
	res.Deleted, err = s.deleteOld(ctx, old, opts.Retention)
	if err != nil {
		return barrier.SweepResult{}, fmt.Errorf("barrier/mysql: sweep: %w", err)
	}
	return res, nil
}

// deleteOld deletes rows by their whole keys, and looks at state and age
// again.
func (s *Store) deleteOld(ctx context.Context, keys []barrier.Position, retention time.Duration) (int64, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	args := make([]any, 0, 1+2*len(keys))
	args = append(args, int64(retention/time.Second))
	for _, k := range keys {
		args = append(args, k.GID, k.BranchID)
	}
	res, err := s.db.ExecContext(ctx,
		"DELETE FROM sub_transaction_barrier WHERE state <> 1 AND updated_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND AND "+anyOf(len(keys)), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// anyOf is the condition that a row has one of n keys. MariaDB reads the whole
// index for a list of one pair, and MySQL takes 100 ms to find the ranges of a
// thousand pairs that are joined by OR.
func anyOf(n int) string {
	if n == 1 {
		return "gid = ? AND branch_id = ?"
	}
	return "(gid, branch_id) IN ((?, ?)" + strings.Repeat(", (?, ?)", n-1) + ")"
}

// Stuck implements barrier.Store. It reads the whole table in the worst case,
// for there is no index on state: run it now and then, not on a hot path.
func (s *Store) Stuck(ctx context.Context, opts barrier.StuckOptions) ([]barrier.StuckBranch, error) {
	if err := opts.SetDefaults(); err != nil {
		return nil, err
	}
	out, err := sqlbranch.StuckBranches(ctx, s.db,
		"SELECT gid, branch_id, COALESCE(method, ''), "+unixMilli("updated_at")+", request FROM sub_transaction_barrier WHERE state = 1 AND updated_at < UTC_TIMESTAMP(3) - INTERVAL ? MICROSECOND AND (gid > ? OR (gid = ? AND branch_id > ?)) ORDER BY gid, branch_id LIMIT ?",
		opts.OlderThan.Microseconds(), opts.After.GID, opts.After.GID, opts.After.BranchID, opts.Limit)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: stuck: %w", err)
	}
	return out, nil
}
