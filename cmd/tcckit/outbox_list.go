package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/messaging/outbox"
)

func newOutboxListCommand() *cobra.Command {
	var (
		dsn       string
		states    []string
		olderThan days
		opts      outbox.ListOptions
		asJSON    bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the messages that are not published, and why",
		Long: `list lists messages of a participant's outbox, in the order in which they were written:

  NEW         waits to be published, since it was written or since a try that failed
  SENT        the broker has taken it; if the participant expects a result, that is still to come
  CONFIRMED   its receiver has reported success
  FAILED      was given up, or its receiver has reported failure: somebody must look at it, and
              "tcckit outbox retry" has it published again

Messages that are done are kept for a while; --state shows them, too.`,
		Example: `  tcckit outbox list --db mysql://shop:secret@db/orders
  tcckit outbox list --db sqlite:express.db --state SENT --older-than 10m --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Limit <= 0 || olderThan < 0 {
				return usagef("--limit must be more than 0, and --older-than not less")
			}
			if opts.States, err = parseOutboxStates(states); err != nil {
				return err
			}
			opts.OlderThan = olderThan.duration()
			o, db, err := openOutbox(cmd.Context(), dsn, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			list, more, err := listOutbox(cmd, o, opts)
			if err != nil {
				return err
			}
			if more {
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more: go on with --after %d\n", list[len(list)-1].Seq)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printOutbox(cmd.OutOrStdout(), list, time.Now())
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", dbUsage)
	cmd.Flags().StringSliceVar(&states, "state", []string{string(outbox.StateNew), string(outbox.StateFailed)}, "states of interest: NEW, SENT, CONFIRMED, FAILED")
	cmd.Flags().StringVar(&opts.Topic, "topic", "", "only messages of one topic")
	cmd.Flags().Var(&olderThan, "older-than", "only what was written so long ago")
	cmd.Flags().IntVar(&opts.Limit, "limit", 100, "the most messages to list, oldest first")
	cmd.Flags().Int64Var(&opts.After, "after", 0, "where to go on, as printed by a list that was not complete")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// listOutbox lists, and says whether there are more than the limit.
func listOutbox(cmd *cobra.Command, o *outbox.Outbox, opts outbox.ListOptions) (list []outbox.Row, more bool, err error) {
	limit := opts.Limit
	opts.Limit++
	if list, err = o.List(cmd.Context(), opts); err != nil {
		return nil, false, err
	}
	if list == nil {
		list = []outbox.Row{} // which is [] as JSON
	}
	return list[:min(limit, len(list))], len(list) > limit, nil
}

func printOutbox(out io.Writer, list []outbox.Row, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "there is none")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "AGE\tSTATE\tTOPIC\tKEY\tID\tTRIES\tNEXT\tLAST ERROR")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n",
			now.Sub(r.CreatedAt).Round(time.Second), r.State, r.Topic, oneLine(r.Key), r.ID, r.Tries, untilDue(r.DueAt, now), oneLine(r.LastError))
	}
	return w.Flush()
}

// untilDue says in how much time something is done, "-" if nothing is.
func untilDue(due, now time.Time) string {
	switch wait := due.Sub(now).Round(time.Second); {
	case due.IsZero():
		return "-"
	case wait <= 0:
		return "now"
	default:
		return "in " + wait.String()
	}
}
