package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/messaging/inbox"
)

func newDeadLetterListCommand() *cobra.Command {
	var (
		dsn, after string
		parked     bool
		opts       inbox.ListOptions
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the messages that were given up, and why",
		Long: `list lists the messages that a consumer has given up: the last of a bounded number of tries has failed, or the
message can never succeed. Each is kept whole in the consumer's database; "tcckit deadletter show" shows it, and
"tcckit deadletter replay" has it tried again.

--parked adds those that have failed and are tried again by themselves.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Limit <= 0 {
				return usagef("--limit must be more than 0")
			}
			if opts.After, err = parseAfter(after); err != nil {
				return err
			}
			opts.States = []inbox.State{inbox.Dead}
			if parked {
				opts.States = append(opts.States, inbox.Parked)
			}
			db, err := openInbox(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			list, more, err := db.list(cmd.Context(), opts)
			if err != nil {
				return err
			}
			if more {
				last := list[len(list)-1]
				fmt.Fprintf(cmd.ErrOrStderr(), "there are more: go on with --after '%s %s'\n", last.Consumer, last.MessageID)
			}
			if asJSON {
				return printDeadLettersJSON(cmd.OutOrStdout(), list)
			}
			return printDeadLetters(cmd.OutOrStdout(), list, time.Now())
		},
	}
	cmd.Flags().StringVar(&dsn, "db", "", dbUsage)
	cmd.Flags().StringVar(&opts.Consumer, "consumer", "", "only those of one consumer")
	cmd.Flags().BoolVar(&parked, "parked", false, "also those that are tried again by themselves")
	cmd.Flags().IntVar(&opts.Limit, "limit", 100, "the most to list, in the order of consumers and ids")
	cmd.Flags().StringVar(&after, "after", "", "where to go on, 'CONSUMER ID', as printed by a list that was not complete")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// parseAfter reads "CONSUMER ID"; neither has a space.
func parseAfter(s string) (inbox.Row, error) {
	if s == "" {
		return inbox.Row{}, nil
	}
	consumer, id, found := strings.Cut(s, " ")
	if !found || consumer == "" || strings.Contains(id, " ") {
		return inbox.Row{}, usagef("--after %q: want 'CONSUMER ID'", s)
	}
	return inbox.Row{Consumer: consumer, MessageID: id}, nil
}

// list lists, and says whether there are more than the limit.
func (db inboxDB) list(ctx context.Context, opts inbox.ListOptions) (list []inbox.Row, more bool, err error) {
	limit := opts.Limit
	opts.Limit++
	if list, err = inbox.List(ctx, db.DB, db.dialect, opts); err != nil {
		return nil, false, err
	}
	return list[:min(limit, len(list))], len(list) > limit, nil
}

func printDeadLetters(out io.Writer, list []inbox.Row, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "there is none")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "SINCE\tSTATE\tCONSUMER\tTOPIC\tID\tTRIES\tREASON")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n",
			now.Sub(r.Updated).Round(time.Second), r.State, r.Consumer, oneLine(r.Topic), r.MessageID, r.Tries, oneLine(r.LastError))
	}
	return w.Flush()
}

// deadLetter is a message of an inbox as JSON.
type deadLetter struct {
	Consumer string    `json:"consumer"`
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Topic    string    `json:"topic"`
	Tries    int       `json:"tries"`
	Excused  int       `json:"excused"` // of the tries: the database, or what the handler needs, was away
	Size     int64     `json:"size"`    // of the payload, in bytes
	Reason   string    `json:"reason"`
	Received time.Time `json:"received"`
	Parked   time.Time `json:"parked,omitzero"`
	Updated  time.Time `json:"updated"`
	Due      time.Time `json:"due,omitzero"`
}

func newDeadLetter(r inbox.Row) deadLetter {
	return deadLetter{
		r.Consumer, r.MessageID, r.State.String(), r.Topic, r.Tries, r.Excused, r.Size, r.LastError,
		r.Received, r.Parked, r.Updated, r.Due,
	}
}

func printDeadLettersJSON(out io.Writer, list []inbox.Row) error {
	lines := make([]deadLetter, 0, len(list))
	for _, r := range list {
		lines = append(lines, newDeadLetter(r))
	}
	return printJSON(out, lines)
}
