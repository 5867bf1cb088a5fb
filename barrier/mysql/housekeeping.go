package mysql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/barrier"
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
// again. It names each key by itself, for MariaDB reads the whole index for
// (gid, branch_id) IN ((?, ?)) with a single pair.
func (s *Store) deleteOld(ctx context.Context, keys []barrier.Position, retention time.Duration) (int64, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	q := make([]byte, 0, 160+30*len(keys))
	q = append(q, "DELETE FROM sub_transaction_barrier WHERE state <> 1 AND updated_at < UTC_TIMESTAMP(3) - INTERVAL ? SECOND AND ("...)
	args := make([]any, 0, 1+2*len(keys))
	args = append(args, int64(retention/time.Second))
	for i, k := range keys {
		if i > 0 {
			q = append(q, " OR "...)
		}
		q = append(q, "gid = ? AND branch_id = ?"...)
		args = append(args, k.GID, k.BranchID)
	}
	res, err := s.db.ExecContext(ctx, string(append(q, ')')), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Stuck implements barrier.Store. It reads the whole table in the worst case,
// for there is no index on state: run it now and then, not on a hot path.
func (s *Store) Stuck(ctx context.Context, opts barrier.StuckOptions) ([]barrier.StuckBranch, error) {
	if err := opts.SetDefaults(); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx,
		"SELECT gid, branch_id, COALESCE(method, ''), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', updated_at), request FROM sub_transaction_barrier WHERE state = 1 AND updated_at < UTC_TIMESTAMP(3) - INTERVAL ? MICROSECOND AND (gid > ? OR (gid = ? AND branch_id > ?)) ORDER BY gid, branch_id LIMIT ?",
		opts.OlderThan.Microseconds(), opts.After.GID, opts.After.GID, opts.After.BranchID, opts.Limit)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: stuck: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []barrier.StuckBranch
	for rows.Next() {
		var b barrier.StuckBranch
		var at int64
		if err := rows.Scan(&b.GID, &b.BranchID, &b.Method, &at, &b.Request); err != nil {
			return nil, fmt.Errorf("barrier/mysql: stuck: %w", err)
		}
		b.TriedAt = time.UnixMicro(at).UTC()
		out = append(out, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("barrier/mysql: stuck: %w", err)
	}
	return out, nil
}
