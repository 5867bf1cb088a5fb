package inbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tcckit/tcckit/messaging"
)

// check finds out whether the table is there.
func check(ctx context.Context, db *sql.DB, d messaging.Dialect) error {
	var n int
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT consumer, message_id, state, tries, excused, due_at, claimed_by, topic, payload, metadata, last_error, received_at, parked_at, updated_at FROM inbox WHERE 1 = 0) t").Scan(&n)
	if err != nil {
		return fmt.Errorf("the database has no table inbox of the right columns: run `tcckit migrate`, or create it with inbox.Schema in the consumer's migrations (%w)", err)
	}
	if d != messaging.MySQL {
		return nil
	}
	var engine string
	if err := db.QueryRowContext(ctx, "SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'inbox'").Scan(&engine); err != nil {
		return fmt.Errorf("look at the table inbox: %w", err)
	}
	if !strings.EqualFold(engine, "InnoDB") {
		return fmt.Errorf("the table inbox has the engine %s, which has no transactions: it must be InnoDB", engine)
	}
	return nil
}

// beginning is how a transaction begins.
type beginning struct {
	statements []string
	// oneTrip: several statements with arguments fit in one round trip.
	oneTrip bool
}

// findBeginning asks the database. READ COMMITTED keeps deliveries of different
// messages from locking each other's gaps.
func findBeginning(ctx context.Context, db *sql.DB, d messaging.Dialect) (beginning, error) {
	if d != messaging.MySQL {
		return beginning{statements: []string{"BEGIN IMMEDIATE"}}, nil
	}
	// The variable has one name on MySQL and, to 10.11, another on MariaDB.
	var name, level string
	err := db.QueryRowContext(ctx, "SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')").Scan(&name, &level)
	if err != nil {
		return beginning{}, fmt.Errorf("ask for the isolation level: %w", err)
	}
	b := beginning{statements: []string{"START TRANSACTION"}}
	if level != "READ-COMMITTED" {
		b.statements = []string{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION"}
	}
	_, err = db.ExecContext(ctx, "DO ?; DO ?", 1, 1)
	b.oneTrip = err == nil
	if classify(err) != final {
		return beginning{}, fmt.Errorf("ask whether several statements fit in one round trip: %w", err)
	}
	return b, nil
}
