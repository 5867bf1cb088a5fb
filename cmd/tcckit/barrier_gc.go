package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/barrier"
)

func newBarrierGCCommand() *cobra.Command {
	var (
		dsn, after string
		retention  = days(barrier.DefaultRetention)
		chunk      int
		once       bool
	)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Delete what ended long ago from the barrier",
		Long: fmt.Sprintf(`gc deletes the rows of branches that ended longer ago than the retention, in small chunks, each a short
transaction of its own, and rests three times as long as it worked, for the branches of now. A branch that is
neither confirmed nor cancelled is never deleted. "tcckit serve" does the same by itself every hour.

It may be interrupted, and several may run at once; --after goes on where one stopped. The retention must
exceed how late a delivery may still arrive, so less than %s is refused.`, days(barrier.MinRetention)),
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			opts := barrier.SweepOptions{Retention: retention.duration(), Limit: chunk}
			if opts.After, err = parsePosition(after); err != nil {
				return err
			}
			if err := opts.SetDefaults(); err != nil {
				return usageError{err}
			}
			store, err := openBarrier(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			return sweep(cmd.Context(), cmd.OutOrStdout(), store, opts, once)
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", dbUsage)
	cmd.Flags().Var(&retention, "retention", "how long ago a branch must have ended")
	cmd.Flags().IntVar(&chunk, "chunk", 1000, "how many rows one transaction looks at")
	cmd.Flags().BoolVar(&once, "once", false, "stop after one chunk")
	cmd.Flags().StringVar(&after, "after", "", "where to go on, 'GID BRANCH_ID', as printed by a run that stopped early")
	return cmd
}

// sweep deletes to the end, or one chunk, and says how far it came, also when it fails.
func sweep(ctx context.Context, out io.Writer, store barrier.Store, opts barrier.SweepOptions, once bool) error {
	sweeper, err := barrier.NewSweeper(barrier.SweeperConfig{Store: store, Retention: opts.Retention, Limit: opts.Limit})
	if err != nil {
		return err
	}
	var result barrier.SweepResult
	if once {
		if result, err = store.Sweep(ctx, opts); err != nil {
			result.Next = opts.After
		}
	} else {
		result, err = sweeper.Sweep(ctx, opts.After)
	}
	fmt.Fprintf(out, "looked at %d rows, deleted %d that ended more than %s ago\n", result.Scanned, result.Deleted, days(opts.Retention))
	if !result.Done && result.Next != (barrier.Position{}) {
		fmt.Fprintf(out, "there is more: go on with --after '%s %s'\n", result.Next.GID, result.Next.BranchID)
	}
	return err
}

// parsePosition reads "GID BRANCH_ID"; neither may have a space.
func parsePosition(s string) (barrier.Position, error) {
	if s == "" {
		return barrier.Position{}, nil
	}
	gid, branch, found := strings.Cut(s, " ")
	if !found || gid == "" || strings.Contains(branch, " ") {
		return barrier.Position{}, usagef("--after %q: want 'GID BRANCH_ID'", s)
	}
	return barrier.Position{GID: gid, BranchID: branch}, nil
}
