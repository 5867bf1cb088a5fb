package sqlbranch

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// StuckBranches runs a query for gid, branch_id, method, updated_at and
// request. Here and below, times are in Unix milliseconds.
func StuckBranches(ctx context.Context, db *sql.DB, query string, args ...any) ([]barrier.StuckBranch, error) {
	return list(ctx, db, query, args, func(rows *sql.Rows, b *barrier.StuckBranch) error { return scanBranch(rows, b) })
}

// Branches runs a query for the same columns, state and reason.
func Branches(ctx context.Context, db *sql.DB, query string, args ...any) ([]barrier.Branch, error) {
	return list(ctx, db, query, args, func(rows *sql.Rows, b *barrier.Branch) error {
		var reason []byte
		err := scanBranch(rows, &b.StuckBranch, &b.State, &reason)
		if len(reason) > 0 {
			b.Rejection = &tcc.Rejection{}
			if json.Unmarshal(reason, b.Rejection) != nil {
				b.Rejection.Message = string(reason) // who looks at it makes more of it than an error
			}
		}
		return err
	})
}

// Resolutions runs a query for gid, branch_id, phase, basis, decided_by,
// reason, method, state_before, state_after, attempts, error, started_at,
// attempted_at and finished_at.
func Resolutions(ctx context.Context, db *sql.DB, query string, args ...any) ([]barrier.Resolution, error) {
	return list(ctx, db, query, args, func(rows *sql.Rows, r *barrier.Resolution) error {
		var started, attempted int64
		var finished sql.NullInt64
		err := rows.Scan(&r.GID, &r.BranchID, &r.Phase, &r.Basis, &r.By, &r.Reason, &r.Method, &r.Before, &r.After, &r.Attempts, &r.Err, &started, &attempted, &finished)
		r.Started, r.Attempted = unixMilli(started), unixMilli(attempted)
		if finished.Valid {
			r.Finished = unixMilli(finished.Int64)
		}
		return err
	})
}

func scanBranch(rows *sql.Rows, b *barrier.StuckBranch, more ...any) error {
	var at int64
	err := rows.Scan(append([]any{&b.GID, &b.BranchID, &b.Method, &at, &b.Request}, more...)...)
	b.TriedAt = unixMilli(at)
	return err
}

func unixMilli(at int64) time.Time { return time.UnixMilli(at).UTC() }

// list runs a query and reads all of its rows.
func list[T any](ctx context.Context, db *sql.DB, query string, args []any, scan func(*sql.Rows, *T) error) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}
