package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/barrier"
)

func newBarrierResolutionsCommand() *cobra.Command {
	var (
		dsn    string
		opts   barrier.ResolutionsOptions
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "resolutions",
		Short: "List the branches that were finished in the coordinator's place: who, when, why",
		Long: `resolutions lists what "tcckit barrier resolve" and "tcckit serve" have recorded in the participant's database.
A record without an end is of an attempt that was killed, or whose participant gave no answer; it is completed by
the next run of either.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Limit <= 0 {
				return usagef("--limit must be more than 0")
			}
			store, err := openBarrier(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			list, err := store.Resolutions(cmd.Context(), opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printResolutionsJSON(cmd.OutOrStdout(), list)
			}
			return printResolutions(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", dbUsage)
	cmd.Flags().StringVar(&opts.GID, "gid", "", "only those of one global transaction")
	cmd.Flags().BoolVar(&opts.OpenOnly, "open", false, "only those without an end")
	cmd.Flags().IntVar(&opts.Limit, "limit", 1000, "the most to list, oldest gid first")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func printResolutions(out io.Writer, list []barrier.Resolution) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "none is recorded")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "BEGUN\tGID\tBRANCH ID\tPHASE\tBEFORE\tAFTER\tATTEMPTS\tBY\tREASON")
	for _, r := range list {
		after := r.After.String()
		if r.Open() {
			after = "not finished"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.Started.Format(time.DateTime), r.GID, r.BranchID, r.Phase, r.Before, after, r.Attempts, r.By, r.Reason)
	}
	return w.Flush()
}

func printResolutionsJSON(out io.Writer, list []barrier.Resolution) error {
	type line struct {
		GID       string        `json:"gid"`
		BranchID  string        `json:"branch_id"`
		Phase     string        `json:"phase"`
		Basis     barrier.Basis `json:"basis"`
		By        string        `json:"by"`
		Reason    string        `json:"reason"`
		Method    string        `json:"method"`
		Before    string        `json:"before"`
		After     string        `json:"after,omitempty"`
		Attempts  int           `json:"attempts"`
		Error     string        `json:"error,omitempty"`
		Started   time.Time     `json:"started"`
		Attempted time.Time     `json:"attempted"`
		Finished  time.Time     `json:"finished,omitzero"`
	}
	lines := make([]line, 0, len(list))
	for _, r := range list {
		l := line{
			r.GID, r.BranchID, r.Phase.String(), r.Basis, r.By, r.Reason, r.Method, r.Before.String(), "",
			r.Attempts, r.Err, r.Started, r.Attempted, r.Finished,
		}
		if !r.Open() {
			l.After = r.After.String()
		}
		lines = append(lines, l)
	}
	return printJSON(out, lines)
}
