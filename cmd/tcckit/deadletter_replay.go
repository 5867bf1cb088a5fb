package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/messaging/inbox"
)

// replayPage is how many messages `deadletter replay --all` lists at a time.
const replayPage = 500

// deadLetterReplay is one run of `deadletter replay`.
type deadLetterReplay struct {
	dsn, consumer string
	all           bool
	occasion      occasion
	logs          logFlags
}

func newDeadLetterReplayCommand() *cobra.Command {
	r := &deadLetterReplay{}
	cmd := &cobra.Command{
		Use:   "replay {ID... | --all} --consumer NAME",
		Short: "Have messages handled again that were given up",
		Long: `replay has messages of a consumer's inbox handled again, at once and with all their tries before them, by the
processes that serve the participant. It is for when what they failed for is mended. A message named by its id may
also be one that is tried again by itself, but only later.

The copies in the consumer's dead-letter topic stay where they are. If one of the ids cannot be replayed, none is.`,
		Example: `  tcckit deadletter replay --db mysql://shop:secret@db/dispatch --consumer dispatch --reason "CASE-9: the order is back" 01a20214-77aa-7d1e-9e6d-2f2a3c6b9d10
  tcckit deadletter replay --db sqlite:cart.db --consumer cart --all --reason "release 1.4 reads them"`,
		RunE: func(cmd *cobra.Command, ids []string) error { return r.run(cmd, ids) },
	}
	cmd.Flags().StringVar(&r.dsn, "db", "", dbUsage)
	cmd.Flags().StringVar(&r.consumer, "consumer", "", "whose messages (required)")
	cmd.Flags().BoolVar(&r.all, "all", false, "all that the consumer has given up")
	r.occasion.register(cmd.Flags())
	r.logs.register(cmd.Flags())
	return cmd
}

func (r *deadLetterReplay) run(cmd *cobra.Command, ids []string) (err error) {
	switch {
	case r.consumer == "":
		return usagef("--consumer is missing: `tcckit deadletter list` lists ids and their consumers")
	case r.all == (len(ids) > 0):
		return usagef("say which messages: their ids, or --all")
	}
	if err := r.occasion.complete(); err != nil {
		return err
	}
	log, err := r.logs.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	db, err := openInbox(ctx, r.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var n int
	if r.all {
		n, err = r.replayAll(ctx, db)
	} else {
		slices.Sort(ids)
		ids = slices.Compact(ids)
		n, err = r.replay(ctx, db, ids)
	}
	if n > 0 {
		r.occasion.log(ctx, log, "inbox: messages are handled again by hand", "consumer", r.consumer, "messages", n, "ids", ids)
	}
	if err != nil {
		return err
	}
	if n < len(ids) {
		return fmt.Errorf("%d of %d are handled again; the others have changed meanwhile: run it again", n, len(ids))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s handled again\n", messagesAre(n))
	return err
}

// replay replays all, or none if one of them cannot be.
func (r *deadLetterReplay) replay(ctx context.Context, db inboxDB, ids []string) (int, error) {
	var errs []error
	for _, id := range ids {
		row, err := inbox.Get(ctx, db.DB, db.dialect, r.consumer, id)
		switch {
		case errors.Is(err, inbox.ErrNotFound):
			errs = append(errs, errUnknownMessage(r.consumer, id))
		case err != nil:
			return 0, err
		case row.State == inbox.Done:
			errs = append(errs, fmt.Errorf("message %s is %s: consumer %s has handled it", id, row.State, r.consumer))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("nothing was changed: %w", err)
	}
	return inbox.Replay(ctx, db.DB, db.dialect, r.consumer, ids...)
}

// replayAll replays what the consumer has given up, once each: what is given up again meanwhile stays so.
func (r *deadLetterReplay) replayAll(ctx context.Context, db inboxDB) (int, error) {
	total := 0
	opts := inbox.ListOptions{Consumer: r.consumer, States: []inbox.State{inbox.Dead}, Limit: replayPage}
	for {
		page, more, err := db.list(ctx, opts)
		if err != nil || len(page) == 0 {
			return total, err
		}
		ids := make([]string, len(page))
		for i, row := range page {
			ids[i] = row.MessageID
		}
		n, err := inbox.Replay(ctx, db.DB, db.dialect, r.consumer, ids...)
		total += n
		if err != nil || !more {
			return total, err
		}
		opts.After = page[len(page)-1]
	}
}
