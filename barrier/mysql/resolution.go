package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier"
)

var _ barrier.ResolutionStore = (*Store)(nil)

// unixMicro reads a DATETIME in UTC whatever the connection makes of times.
func unixMicro(column string) string {
	return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " + column + ")"
}

// Branches implements barrier.ResolutionStore.
func (s *Store) Branches(ctx context.Context, gid string) ([]barrier.Branch, error) {
	rows, err := s.db.QueryContext(ctx,
		"SELECT gid, branch_id, COALESCE(method, ''), "+unixMicro("updated_at")+", request, state FROM sub_transaction_barrier WHERE gid = ? ORDER BY branch_id", gid)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: branches of %s: %w", gid, err)
	}
	defer func() { _ = rows.Close() }()
	var out []barrier.Branch
	for rows.Next() {
		var b barrier.Branch
		var at int64
		if err := rows.Scan(&b.GID, &b.BranchID, &b.Method, &at, &b.Request, &b.State); err != nil {
			return nil, fmt.Errorf("barrier/mysql: branches of %s: %w", gid, err)
		}
		b.TriedAt = time.UnixMicro(at).UTC()
		out = append(out, b)
	}
	if err := rows.Err(); err != nil {
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
	rows, err := s.db.QueryContext(ctx,
		"SELECT gid, branch_id, phase, basis, decided_by, reason, method, state_before, COALESCE(state_after, 0), attempts, COALESCE(error, ''), "+
			unixMicro("started_at")+", "+unixMicro("attempted_at")+", "+unixMicro("finished_at")+
			" FROM barrier_resolution WHERE (gid > ? OR (gid = ? AND (branch_id > ? OR (branch_id = ? AND id > ?))))"+
			" AND (? = '' OR gid = ?) AND (NOT ? OR finished_at IS NULL) ORDER BY gid, branch_id, id LIMIT ?",
		a.GID, a.GID, a.BranchID, a.BranchID, a.ID(), opts.GID, opts.GID, opts.OpenOnly, opts.Limit)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: resolutions: %w", missing(err))
	}
	defer func() { _ = rows.Close() }()
	var out []barrier.Resolution
	for rows.Next() {
		var r barrier.Resolution
		var started, attempted int64
		var finished sql.NullInt64
		if err := rows.Scan(&r.GID, &r.BranchID, &r.Phase, &r.Basis, &r.By, &r.Reason, &r.Method, &r.Before, &r.After, &r.Attempts, &r.Err, &started, &attempted, &finished); err != nil {
			return nil, fmt.Errorf("barrier/mysql: resolutions: %w", err)
		}
		r.Started, r.Attempted = time.UnixMicro(started).UTC(), time.UnixMicro(attempted).UTC()
		if finished.Valid {
			r.Finished = time.UnixMicro(finished.Int64).UTC()
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("barrier/mysql: resolutions: %w", err)
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
