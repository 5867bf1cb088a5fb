package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tcckit/tcckit/messaging/outbox"
)

func newOutboxCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "outbox",
		Short: "Look after the messages that a participant publishes",
	})
	cmd.AddCommand(newOutboxListCommand(), newOutboxRetryCommand())
	return cmd
}

// openOutbox opens the outbox of a participant's database. The caller closes the database.
func openOutbox(ctx context.Context, dsn string, log *slog.Logger) (*outbox.Outbox, *sql.DB, error) {
	db, dialect, err := openDB(dsn)
	if err != nil {
		return nil, nil, err
	}
	o, err := outbox.New(ctx, outbox.Config{DB: db, Dialect: dialect, Logger: log, MeterProvider: noop.NewMeterProvider()})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return o, db, nil
}

// parseOutboxStates reads names of states, in capitals or not.
func parseOutboxStates(names []string) ([]outbox.State, error) {
	known := []outbox.State{outbox.StateNew, outbox.StateSent, outbox.StateConfirmed, outbox.StateFailed}
	states, err := parseStates(names, known, func(s outbox.State) string { return string(s) })
	if err != nil {
		return nil, usageError{fmt.Errorf("--state %w", err)}
	}
	return states, nil
}
