package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

var _ barrier.ResolutionStore = (*Store)(nil)

// Branches implements barrier.ResolutionStore.
func (s *Store) Branches(ctx context.Context, gid string) ([]barrier.Branch, error) {
	out, err := sqlbranch.Branches(ctx, s.db,
		"SELECT gid, branch_id, COALESCE(method, ''), updated_at, request, state, reason FROM sub_transaction_barrier WHERE gid = ? ORDER BY branch_id", gid)
	if err != nil {
		return nil, fmt.Errorf("barrier/sqlite: branches of %s: %w", gid, err)
	}
	return out, nil
}

// BeginResolution implements barrier.ResolutionStore.
func (s *Store) BeginResolution(ctx context.Context, r barrier.Resolution) error {
	if err := r.Validate(); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	_, err := s.db.ExecContext(ctx,
		"INSERT INTO barrier_resolution (gid, branch_id, id, phase, basis, decided_by, reason, method, state_before, attempts, started_at, attempted_at)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)"+
			" ON CONFLICT (gid, branch_id, id) DO UPDATE SET attempts = attempts + 1, attempted_at = excluded.attempted_at WHERE finished_at IS NULL",
		r.GID, r.BranchID, r.ID(), r.Phase, r.Basis, r.By, r.Reason, r.Method, r.Before, now, now)
	if err != nil {
		return fmt.Errorf("barrier/sqlite: write down what is decided about branch %s of %s: %w", r.BranchID, r.GID, s.missing(ctx, err))
	}
	return nil
}

// EndResolution implements barrier.ResolutionStore.
func (s *Store) EndResolution(ctx context.Context, r barrier.Resolution) error {
	if err := r.Validate(); err != nil {
		return err
	}
	var finished any
	if r.After != barrier.Tried {
		finished = time.Now().UnixMilli()
	}
	_, err := s.db.ExecContext(ctx,
		"UPDATE barrier_resolution SET state_after = ?, error = NULLIF(?, ''), finished_at = ? WHERE gid = ? AND branch_id = ? AND id = ? AND finished_at IS NULL",
		r.After, r.Err, finished, r.GID, r.BranchID, r.ID())
	if err != nil {
		return fmt.Errorf("barrier/sqlite: write down what became of branch %s of %s: %w", r.BranchID, r.GID, s.missing(ctx, err))
	}
	return nil
}

// Resolutions implements barrier.ResolutionStore.
func (s *Store) Resolutions(ctx context.Context, opts barrier.ResolutionsOptions) ([]barrier.Resolution, error) {
	if err := opts.SetDefaults(); err != nil {
		return nil, err
	}
	a := opts.After
	out, err := sqlbranch.Resolutions(ctx, s.db,
		"SELECT gid, branch_id, phase, basis, decided_by, reason, method, state_before, COALESCE(state_after, 0), attempts, COALESCE(error, ''), started_at, attempted_at, finished_at"+
			" FROM barrier_resolution WHERE (gid, branch_id, id) > (?, ?, ?) AND (? = '' OR gid = ?) AND (NOT ? OR finished_at IS NULL) ORDER BY gid, branch_id, id LIMIT ?",
		a.GID, a.BranchID, a.ID(), opts.GID, opts.GID, opts.OpenOnly, opts.Limit)
	if err != nil {
		return nil, fmt.Errorf("barrier/sqlite: resolutions: %w", s.missing(ctx, err))
	}
	return out, nil
}

// missing says what to do about a database that was migrated by an earlier
// release. SQLite has no error code for that, so it looks.
func (s *Store) missing(ctx context.Context, err error) error {
	var n int
	if look := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'barrier_resolution'").Scan(&n); look == nil && n == 0 {
		return fmt.Errorf("the database has no table barrier_resolution: create it with sqlite.ResolutionSchema in the participant's migrations (%w)", err)
	}
	return err
}
