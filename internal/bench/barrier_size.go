package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
)

// size measures bytes_per_branch: what the table takes of the disk, by MySQL's
// own account, when it holds terminal rows only and was just rebuilt.
func (m *measurement) size(ctx context.Context) (err error) {
	db, err := openPlain(m.ground, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, query := range []string{"DROP TABLE sub_transaction_barrier", mysql.Schema} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	const chunk = 1000
	for at := 0; at < m.cfg.Rows; at += chunk {
		rows := make([]string, 0, chunk)
		for range min(chunk, m.cfg.Rows-at) {
			gid, err := uuid.NewV7()
			if err != nil {
				return err
			}
			rows = append(rows, fmt.Sprintf("('%s', '%s', %d, UTC_TIMESTAMP(3))", gid, benchBranch, barrier.Confirmed))
		}
		query := "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES " + strings.Join(rows, ", ")
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	// OPTIMIZE rebuilds and analyses; the latter is what sets the length.
	for _, query := range []string{"OPTIMIZE TABLE sub_transaction_barrier", "ANALYZE TABLE sub_transaction_barrier"} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	// Otherwise MySQL answers with what it knew a day ago.
	if _, err := db.ExecContext(ctx, "SET SESSION information_schema_stats_expiry = 0"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var bytes int64
	err = db.QueryRowContext(ctx, "SELECT data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'sub_transaction_barrier'").Scan(&bytes)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	m.figures["bytes_per_branch"] = rounded(float64(bytes)/float64(m.cfg.Rows), 1)
	fmt.Fprintf(m.cfg.Out, "%d terminal rows: %d bytes\n", m.cfg.Rows, bytes)
	return nil
}
