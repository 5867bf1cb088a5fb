package mysql

import (
	"context"
	"errors"
	"fmt"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

var _ barrier.ResolutionStore = (*Store)(nil)

// unixMilli reads a DATETIME in UTC whatever the connection makes of times.
func unixMilli(column string) string {
	return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " + column + ") DIV 1000"
}

// Branches implements barrier.ResolutionStore.
func (s *Store) Branches(ctx context.Context, gid string) ([]barrier.Branch, error) {
	out, err := sqlbranch.Branches(ctx, s.db,
		"SELECT gid, branch_id, COALESCE(method, ''), "+unixMilli("updated_at")+", request, state, reason FROM sub_transaction_barrier WHERE gid = ? ORDER BY branch_id", gid)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: branches of %s: %w", gid, err)
	}
	return out, nil
}

// BeginResolution implements barrier.ResolutionStore.
func (s *Store) BeginResolution(ctx context.Context, r barrier.Resolution) error {
	if err := r.Validate(); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx,
		"INSERT INTO barrier_resolution (gid, branch_id, id, phase, basis, decided_by, reason, method, state_before, attempts, started_at, attempted_at)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))"+
			" ON DUPLICATE KEY UPDATE attempts = IF(finished_at IS NULL, attempts + 1, attempts), attempted_at = IF(finished_at IS NULL, UTC_TIMESTAMP(3), attempted_at)",
		r.GID, r.BranchID, r.ID(), r.Phase, r.Basis, r.By, r.Reason, r.Method, r.Before)
	if err != nil {
		return fmt.Errorf("barrier/mysql: write down what is decided about branch %s of %s: %w", r.BranchID, r.GID, missing(err))
	}
	return nil
}

// EndResolution implements barrier.ResolutionStore.
func (s *Store) EndResolution(ctx context.Context, r barrier.Resolution) error {
	if err := r.Validate(); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx,
		"UPDATE barrier_resolution SET state_after = ?, error = NULLIF(?, ''), finished_at = IF(?, UTC_TIMESTAMP(3), NULL) WHERE gid = ? AND branch_id = ? AND id = ? AND finished_at IS NULL",
		r.After, r.Err, r.After != barrier.Tried, r.GID, r.BranchID, r.ID())
	if err != nil {
		return fmt.Errorf("barrier/mysql: write down what became of branch %s of %s: %w", r.BranchID, r.GID, missing(err))
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
		"SELECT gid, branch_id, phase, basis, decided_by, reason, method, state_before, COALESCE(state_after, 0), attempts, COALESCE(error, ''), "+
			unixMilli("started_at")+", "+unixMilli("attempted_at")+", "+unixMilli("finished_at")+
			" FROM barrier_resolution WHERE (gid > ? OR (gid = ? AND (branch_id > ? OR (branch_id = ? AND id > ?))))"+
			" AND (? = '' OR gid = ?) AND (NOT ? OR finished_at IS NULL) ORDER BY gid, branch_id, id LIMIT ?",
		a.GID, a.GID, a.BranchID, a.BranchID, a.ID(), opts.GID, opts.GID, opts.OpenOnly, opts.Limit)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: resolutions: %w", missing(err))
	}
	return out, nil
}

// errNoTable is ER_NO_SUCH_TABLE.
const errNoTable = 1146

// missing says what to do about a database that was migrated by an earlier
// release.
func missing(err error) error {
	var me *mysqldriver.MySQLError
	if errors.As(err, &me) && me.Number == errNoTable {
		return fmt.Errorf("the database has no table barrier_resolution: create it with mysql.ResolutionSchema in the participant's migrations (%w)", err)
	}
	return err
}
