package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/mysqldsn"
)

func newBarrierCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "barrier",
		Short: "Look after the barrier rows of a participant's database",
	})
	cmd.AddCommand(newBarrierGCCommand(), newBarrierStuckCommand(), newBarrierResolveCommand(), newBarrierResolutionsCommand())
	return cmd
}

// barrierStore is a barrier.Store that must be closed.
type barrierStore interface {
	barrier.Store
	barrier.ResolutionStore
	Close() error
}

// openBarrier opens the barrier of any participant's database, whatever else is in it.
func openBarrier(ctx context.Context, dsn string) (barrierStore, error) {
	if dsn == "" {
		return nil, usagef("--db is missing: give the participant's database, as mysql://user:password@host:3306/database or sqlite:/path/to/file.db; better in %s, for a command line is visible to everybody", environmentName("db"))
	}
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		path = strings.TrimPrefix(path, "//")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("SQLite file %s: %w", path, err) // opening it would make it
		}
		return sqlite.Open(ctx, path, sqlite.Options{})
	}
	cfg, err := mysqldsn.Parse(dsn)
	if err != nil {
		return nil, usageError{err}
	}
	return mysql.Open(ctx, cfg, mysql.Options{MaxConns: 1})
}
