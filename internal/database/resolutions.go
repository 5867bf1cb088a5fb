package database

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/acts"
	"github.com/tcckit/tcckit/messaging"
)

// ensureResolutions makes the tables of what was decided by hand, about branches and
// about transactions. It is no version
// of its own, for the versions after the barrier's first are the participants';
// several may make it at once.
func ensureResolutions(ctx context.Context, d Dialect, db *sql.DB) error {
	schema := mysql.ResolutionSchema
	if d == SQLite {
		schema = sqlite.ResolutionSchema
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("create the table barrier_resolution: %w", err)
	}
	if _, err := db.ExecContext(ctx, acts.Schema(messaging.Dialect(d))); err != nil {
		return fmt.Errorf("create the table coordinator_act: %w", err)
	}
	return nil
}
