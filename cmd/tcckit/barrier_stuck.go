package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/barrier"
)

func newBarrierStuckCommand() *cobra.Command {
	var (
		dsn       string
		olderThan = days(time.Hour)
		limit     int
		asJSON    bool
	)
	cmd := &cobra.Command{
		Use:   "stuck",
		Short: "List branches that were tried long ago and neither confirmed nor cancelled",
		Long: `stuck lists the branches whose Try took effect long ago and that nobody confirmed or cancelled since: what
they hold is held until somebody does. The coordinator's console tells what became of the gid.

It may read the whole table, so run it now and then, not every second.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if olderThan <= 0 || limit <= 0 {
				return usagef("--older-than and --limit must be more than 0")
			}
			store, err := openBarrier(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			branches, err := store.Stuck(cmd.Context(), barrier.StuckOptions{OlderThan: olderThan.duration(), Limit: limit})
			if err != nil {
				return err
			}
			if asJSON {
				return printStuckJSON(cmd.OutOrStdout(), branches, time.Now())
			}
			return printStuck(cmd.OutOrStdout(), branches, time.Now())
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", "the participant's database: mysql://user:password@host:3306/database or sqlite:/path")
	cmd.Flags().Var(&olderThan, "older-than", "how long ago the Try must have been")
	cmd.Flags().IntVar(&limit, "limit", 100, "the most branches to list, oldest gid first")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func printStuck(out io.Writer, branches []barrier.StuckBranch, now time.Time) error {
	if len(branches) == 0 {
		_, err := fmt.Fprintln(out, "none is stuck")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "AGE\tMETHOD\tGID\tBRANCH ID")
	for _, b := range branches {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", now.Sub(b.TriedAt).Round(time.Second), b.Method, b.GID, b.BranchID)
	}
	return w.Flush()
}

func printStuckJSON(out io.Writer, branches []barrier.StuckBranch, now time.Time) error {
	type aged struct {
		barrier.StuckBranch
		AgeSeconds float64 `json:"age_seconds"`
	}
	list := make([]aged, 0, len(branches))
	for _, b := range branches {
		list = append(list, aged{b, now.Sub(b.TriedAt).Seconds()})
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(list)
}
