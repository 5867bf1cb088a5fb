package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/messaging/outbox"
)

// outboxRetry is one run of `outbox retry`.
type outboxRetry struct {
	dsn, topic string
	all        bool
	occasion   occasion
	logs       logFlags
}

func newOutboxRetryCommand() *cobra.Command {
	r := &outboxRetry{}
	cmd := &cobra.Command{
		Use:   "retry {ID... | --all}",
		Short: "Have messages published again that were given up",
		Long: `retry has messages published again, with all their tries before them: those that have FAILED, and those that are
SENT and wait for a result. The processes that serve the participant publish them. What the receiver has answered
is refused: it knows the id, and would not work on it a second time.

If one of the ids cannot be retried, none is.`,
		Example: `  tcckit outbox retry --db sqlite:order.db --reason "CASE-7: the topic exists now" 01a20214-77aa-7d1e-9e6d-2f2a3c6b9d10
  tcckit outbox retry --db mysql://shop:secret@db/orders --all --topic order.confirmed --reason "the broker's disk was full"`,
		RunE: func(cmd *cobra.Command, ids []string) error { return r.run(cmd, ids) },
	}
	cmd.Flags().StringVar(&r.dsn, "db", "", dbUsage)
	cmd.Flags().BoolVar(&r.all, "all", false, "all messages that have FAILED for want of publishing, or of a result")
	cmd.Flags().StringVar(&r.topic, "topic", "", "with --all: only messages of one topic")
	r.occasion.register(cmd.Flags())
	r.logs.register(cmd.Flags())
	return cmd
}

func (r *outboxRetry) run(cmd *cobra.Command, ids []string) (err error) {
	switch {
	case r.all == (len(ids) > 0):
		return usagef("say which messages: their ids, or --all")
	case r.topic != "" && !r.all:
		return usagef("--topic goes with --all")
	}
	if err := r.occasion.complete(); err != nil {
		return err
	}
	log, err := r.logs.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	o, db, err := openOutbox(ctx, r.dsn, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var n int
	if r.all {
		n, err = o.RetryAll(ctx, r.topic)
	} else {
		slices.Sort(ids)
		ids = slices.Compact(ids)
		n, err = retryByID(ctx, o, ids)
	}
	if n > 0 {
		r.occasion.log(ctx, log, "outbox: messages are published again by hand", "messages", n, "ids", ids, "topic", r.topic)
	}
	if err != nil {
		return err
	}
	if n < len(ids) {
		return fmt.Errorf("%d of %d are published again; the others have changed meanwhile: run it again", n, len(ids))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s published again\n", messagesAre(n))
	return err
}

// retryByID retries all, or none if one of them cannot be.
func retryByID(ctx context.Context, o *outbox.Outbox, ids []string) (int, error) {
	var errs []error
	for _, id := range ids {
		row, _, err := o.Get(ctx, id)
		switch {
		case errors.Is(err, outbox.ErrNotFound):
			errs = append(errs, fmt.Errorf("there is no message %s in this database: `tcckit outbox list` lists those that can be retried", id))
		case err != nil:
			return 0, err
		default:
			errs = append(errs, notRetriable(row))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("nothing was changed: %w", err)
	}
	return o.Retry(ctx, ids...)
}

// notRetriable says why a message is not to be published again, nil if it may be.
func notRetriable(r outbox.Row) error {
	switch {
	case !r.SettledAt.IsZero() && r.State == outbox.StateFailed:
		return fmt.Errorf("message %s was answered by its receiver, who refuses it (%s): what it asks for must be asked for anew", r.ID, oneLine(r.LastError))
	case r.State == outbox.StateFailed, r.State == outbox.StateSent && r.ExpectsResult:
		return nil
	case r.State == outbox.StateNew:
		return fmt.Errorf("message %s is %s: it is published by itself, by a process that serves the participant", r.ID, r.State)
	default:
		return fmt.Errorf("message %s is %s: it has arrived", r.ID, r.State)
	}
}

// messagesAre begins a sentence about a number of messages.
func messagesAre(n int) string {
	if n == 1 {
		return "1 message is"
	}
	return fmt.Sprintf("%d messages are", n)
}
