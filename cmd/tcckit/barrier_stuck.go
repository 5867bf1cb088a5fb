package main

import (
	"context"
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
		dtm       dtmFlags
		olderThan = days(barrier.DefaultStuckAfter)
		limit     int
		asJSON    bool
	)
	cmd := &cobra.Command{
		Use:   "stuck",
		Short: "List branches that were tried long ago and neither confirmed nor cancelled",
		Long: `stuck lists the branches whose Try took effect long ago and that nobody confirmed or cancelled since: what
they hold is held until somebody does. Beside each stands what the coordinator knows of its transaction, and so
what to do:

  in progress        the coordinator is at it; "tcckit tx retry" has it try at once
  committed, aborted the coordinator has ended it and calls nobody any more: "tcckit barrier resolve" finishes
                     the branch as it decided; so does a "tcckit serve" that runs beside the database
  unknown, or ended both ways
                     only a person can tell: "tcckit barrier resolve --gid G --confirm" or "--cancel"

It may read the whole table, so run it now and then, not every second.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if olderThan <= 0 || limit <= 0 {
				return usagef("--older-than and --limit must be more than 0")
			}
			client, closeClient, err := dtm.client()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeClient()) }()
			store, err := openBarrier(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			branches, err := store.Stuck(cmd.Context(), barrier.StuckOptions{OlderThan: olderThan.duration(), Limit: limit})
			if err != nil {
				return err
			}
			coordinator := newAsked(client)
			list := viewed(cmd.Context(), branches, coordinator)
			if coordinator.away != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "the coordinator at %s gives no answer, so what became of the transactions is not known: %s\n", dtm.http, coordinator.away)
			}
			if asJSON {
				return printStuckJSON(cmd.OutOrStdout(), list, time.Now())
			}
			return printStuck(cmd.OutOrStdout(), list, time.Now())
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", dbUsage)
	dtm.register(cmd.Flags())
	cmd.Flags().Var(&olderThan, "older-than", "how long ago the Try must have been")
	cmd.Flags().IntVar(&limit, "limit", 100, "the most branches to list, oldest gid first")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// stuckBranch is a branch with the coordinator's view of its transaction.
type stuckBranch struct {
	barrier.StuckBranch
	view barrier.View
}

func viewed(ctx context.Context, branches []barrier.StuckBranch, coordinator *asked) []stuckBranch {
	var list []stuckBranch
	for i, b := range branches {
		if i > 0 && branches[i-1].GID == b.GID {
			list = append(list, stuckBranch{b, list[i-1].view})
			continue
		}
		list = append(list, stuckBranch{b, coordinator.view(ctx, b.GID)})
	}
	return list
}

// describeView says in words what the coordinator knows.
func describeView(v barrier.View, now time.Time) string {
	switch v.Verdict {
	case barrier.InProgress:
		text := v.Status
		if v.NextBranch != "" {
			text += ", calls branch " + v.NextBranch + " next"
		}
		if wait := v.NextRetry.Sub(now); wait > 0 {
			text += ", again in " + wait.Round(time.Second).String()
		}
		return text
	case barrier.Committed, barrier.Aborted:
		return v.Status + ": " + v.Verdict.String() + ", calls nobody any more"
	case barrier.Forgotten:
		return "unknown to the coordinator"
	case barrier.Contradictory:
		return v.Status + ", but branches ended the other way"
	default:
		return "coordinator away"
	}
}

func printStuck(out io.Writer, list []stuckBranch, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "none is stuck")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "AGE\tMETHOD\tGID\tBRANCH ID\tCOORDINATOR")
	for _, b := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", now.Sub(b.TriedAt).Round(time.Second), b.Method, b.GID, b.BranchID, describeView(b.view, now))
	}
	return w.Flush()
}

func printStuckJSON(out io.Writer, branches []stuckBranch, now time.Time) error {
	type line struct {
		barrier.StuckBranch
		AgeSeconds float64   `json:"age_seconds"`
		Verdict    string    `json:"verdict"`
		Status     string    `json:"status,omitempty"`
		NextBranch string    `json:"next_branch,omitempty"`
		NextRetry  time.Time `json:"next_retry,omitzero"`
	}
	list := make([]line, 0, len(branches))
	for _, b := range branches {
		one := line{StuckBranch: b.StuckBranch, AgeSeconds: now.Sub(b.TriedAt).Seconds(), Verdict: b.view.Verdict.String(), Status: b.view.Status}
		if b.view.Verdict == barrier.InProgress {
			one.NextBranch, one.NextRetry = b.view.NextBranch, b.view.NextRetry
		}
		list = append(list, one)
	}
	return printJSON(out, list)
}
