package main

import (
	"context"

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
		return nil, errNoDB()
	}
	path, ok, err := sqlitePath(dsn)
	if err != nil {
		return nil, err
	}
	if ok {
		return sqlite.Open(ctx, path, sqlite.Options{})
	}
	cfg, err := mysqldsn.Parse(dsn)
	if err != nil {
		return nil, usageError{err}
	}
	return mysql.Open(ctx, cfg, mysql.Options{MaxConns: 1})
}
