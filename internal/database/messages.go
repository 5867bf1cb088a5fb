package database

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq/schema"
)

// ensureMessages makes the tables for messages, which every participant's
// database has, as ensureResolutions makes its table.
func ensureMessages(ctx context.Context, d Dialect, db *sql.DB) error {
	for _, t := range []struct{ name, query string }{
		{"outbox", outbox.Schema(messaging.Dialect(d))},
		{"inbox", inbox.Schema(messaging.Dialect(d))},
		{"message_transaction", schema.Transactions(messaging.Dialect(d))},
	} {
		if _, err := db.ExecContext(ctx, t.query); err != nil {
			return fmt.Errorf("create the table %s: %w", t.name, err)
		}
	}
	return nil
}
