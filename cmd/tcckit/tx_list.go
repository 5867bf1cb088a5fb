package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/coordinator"
)

// maxPages bounds how much of the coordinator's store one list reads.
const maxPages = 1000

type txList struct {
	dtm       dtmFlags
	status    []string
	olderThan days
	limit     int
	asJSON    bool
}

func newTxListCommand() *cobra.Command {
	l := &txList{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List transactions that are not finished, or others",
		Long: `list lists the transactions that the coordinator knows, the oldest first: those that are not finished, unless
--status says otherwise. Beside each stands when the coordinator tries it again, and why it was aborted.

  prepared    begun, and not decided
  submitted   committed; not every Confirm has succeeded yet
  aborting    aborted; not every Cancel has succeeded yet
  succeed     committed, and all is done
  failed      aborted, and all is done; or stopped by force`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd) },
	}
	l.dtm.register(cmd.Flags())
	cmd.Flags().StringSliceVar(&l.status, "status", unfinished(), "their statuses: prepared, submitted, aborting, succeed, failed")
	cmd.Flags().Var(&l.olderThan, "older-than", "only those that began so long ago")
	cmd.Flags().IntVar(&l.limit, "limit", 100, "the most to list")
	cmd.Flags().BoolVar(&l.asJSON, "json", false, "print a JSON array")
	return cmd
}

func unfinished() []string {
	return []string{string(coordinator.Prepared), string(coordinator.Submitted), string(coordinator.Aborting)}
}

func (l *txList) run(cmd *cobra.Command) (err error) {
	if l.limit <= 0 || l.olderThan < 0 {
		return usagef("--limit must be more than 0, and --older-than not less")
	}
	for _, s := range l.status {
		if !slices.Contains(append(unfinished(), string(coordinator.Succeeded), string(coordinator.Failed)), s) {
			return usagef("--status %s: want any of prepared, submitted, aborting, succeed, failed", s)
		}
	}
	return l.dtm.with(func(client *coordinator.Client) error {
		list, more, err := l.read(cmd.Context(), client)
		if err != nil {
			return err
		}
		if more {
			fmt.Fprintf(cmd.ErrOrStderr(), "there are more: these are %d of those that the coordinator named first\n", len(list))
		}
		if l.asJSON {
			return printTransactionsJSON(cmd.OutOrStdout(), list)
		}
		return printTransactions(cmd.OutOrStdout(), list, time.Now())
	})
}

// read collects what fits in the limit; more says that there is more.
func (l *txList) read(ctx context.Context, client *coordinator.Client) (list []*coordinator.Info, more bool, err error) {
	seen := make(map[string]bool)
	for _, status := range l.status {
		opts := coordinator.ListOptions{Status: coordinator.Status(status), Limit: coordinator.MaxList}
		for n := 0; ; n++ {
			page, err := client.List(ctx, opts)
			if err != nil {
				return nil, false, err
			}
			for _, t := range page.Transactions {
				// MySQL rounds times to seconds, so one may have begun in the future.
				if seen[t.GID] || l.olderThan > 0 && time.Since(t.Created) < l.olderThan.duration() {
					continue
				}
				seen[t.GID] = true
				list = append(list, t)
			}
			if opts.After = page.Next; opts.After == "" {
				break
			}
			if n == maxPages || len(list) > 10*max(l.limit, coordinator.MaxList) {
				more = true
				break
			}
		}
	}
	slices.SortFunc(list, func(a, b *coordinator.Info) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.GID, b.GID))
	})
	if len(list) > l.limit {
		list, more = list[:l.limit], true
	}
	return list, more, nil
}

func printTransactions(out io.Writer, list []*coordinator.Info, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "there is none")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "AGE\tSTATUS\tGID\tTRIED AGAIN\tREASON")
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", age(t.Created, now), t.Status, t.GID, again(t, now), oneLine(t.Reason))
	}
	return w.Flush()
}

// age is how long ago something was.
func age(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return max(now.Sub(t), 0).Round(time.Second).String()
}

// again is when the coordinator looks at a transaction next.
func again(t *coordinator.Info, now time.Time) string {
	switch wait := t.NextRetry.Sub(now); {
	case t.Status.Finished():
		return "-"
	case wait <= 0:
		return "now"
	default:
		return "in " + wait.Round(time.Second).String()
	}
}

// transactionLine is a transaction for scripts.
type transactionLine struct {
	GID           string             `json:"gid"`
	Status        coordinator.Status `json:"status"`
	Type          string             `json:"type"`
	Reason        string             `json:"reason,omitempty"`
	Created       time.Time          `json:"created,omitzero"`
	Updated       time.Time          `json:"updated,omitzero"`
	Finished      time.Time          `json:"finished,omitzero"`
	NextRetry     time.Time          `json:"next_retry,omitzero"`
	RetryInterval float64            `json:"retry_interval_seconds,omitempty"`
}

func lineOf(t *coordinator.Info) transactionLine {
	l := transactionLine{GID: t.GID, Status: t.Status, Type: t.Type, Reason: t.Reason, Created: t.Created, Updated: t.Updated, Finished: t.Finished}
	if !t.Status.Finished() {
		l.NextRetry, l.RetryInterval = t.NextRetry, t.RetryInterval.Seconds()
	}
	return l
}

func printTransactionsJSON(out io.Writer, list []*coordinator.Info) error {
	lines := make([]transactionLine, 0, len(list))
	for _, t := range list {
		lines = append(lines, lineOf(t))
	}
	return printJSON(out, lines)
}
