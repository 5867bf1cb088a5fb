package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/messaging"
)

func newDeadLetterCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "deadletter",
		Short: "Look after the messages that a participant could not handle",
	})
	cmd.AddCommand(newDeadLetterListCommand(), newDeadLetterShowCommand(), newDeadLetterReplayCommand())
	return cmd
}

// inboxDB is a participant's database with its inbox, which keeps dead letters whole.
type inboxDB struct {
	*sql.DB
	dialect messaging.Dialect
}

// openInbox opens the inbox of a participant's database. The caller closes it.
func openInbox(ctx context.Context, dsn string) (inboxDB, error) {
	db, dialect, err := openDB(dsn)
	if err != nil {
		return inboxDB{}, err
	}
	var rows int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM inbox WHERE 1 = 0").Scan(&rows); err != nil {
		return inboxDB{}, errors.Join(fmt.Errorf("its table inbox cannot be read; if this is a participant's database, run `tcckit migrate`: %w", err), db.Close())
	}
	return inboxDB{db, dialect}, nil
}

// errUnknownMessage says what to do about an id that a consumer does not have.
func errUnknownMessage(consumer, id string) error {
	return fmt.Errorf("consumer %s has no message %s in this database: `tcckit deadletter list` lists ids and their consumers", consumer, id)
}
