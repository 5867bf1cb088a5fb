package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/cmd/tcckit/internal/attempt"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/acts"
)

type txRetry struct {
	dtm      dtmFlags
	dbs      participantDBs
	occasion occasion
	logs     logFlags
	dueAfter days
	wait     time.Duration
}

func newTxRetryCommand() *cobra.Command {
	r := &txRetry{dueAfter: days(time.Minute)}
	cmd := &cobra.Command{
		Use:   "retry [GID]",
		Short: "Have the coordinator try again now what waits there",
		Long: `retry has the coordinator try now what it would try again only later: Confirms or Cancels that it could not finish,
and for which it waits twice as long after each failure. It is for when a participant is back or repaired. What fails
again waits longer than before, so do not run it in a loop.

With a gid it is about that transaction, whatever it waits for. It ends with success only after it saw that the
coordinator has tried, and says what came of it. Who, when and why are recorded in the first participant's database that
is given; "tcckit tx show" shows them. cmd/dtm-server, and stock DTM on MySQL, can try one alone; for stock DTM on
another store those are tried too that wait about as long.

Without a gid it is about all that would wait for more than --due-after.`,
		Example: `  tcckit tx retry 01a1fe94-50c2-7bec-9187-1742cfdd9ee4 --reason "account is back"   # TCCKIT_ACCOUNT_DB in the environment
  tcckit tx retry --reason "the network is mended" --due-after 5m`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return oneGID(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.dueAfter.duration() < time.Second || r.wait < time.Second {
				return usagef("--due-after and --wait must be at least 1s")
			}
			if err := r.occasion.complete(); err != nil {
				return err
			}
			return r.dtm.with(func(client *coordinator.Client) error {
				if len(args) == 0 {
					return r.all(cmd, client)
				}
				return r.one(cmd, client, args[0])
			})
		},
	}
	r.dtm.register(cmd.Flags())
	r.dbs.register(cmd.Flags())
	r.occasion.register(cmd.Flags())
	r.logs.register(cmd.Flags())
	cmd.Flags().Var(&r.dueAfter, "due-after", "without a gid: only those that it would try again only after this time")
	cmd.Flags().DurationVar(&r.wait, "wait", time.Minute, "with a gid: how long the attempt is waited for")
	return cmd
}

func (r *txRetry) all(cmd *cobra.Command, client *coordinator.Client) error {
	log, err := r.logs.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	total := 0
	for {
		n, err := client.RetryNow(cmd.Context(), r.dueAfter.duration(), 0)
		total += n
		if err != nil || n < coordinator.MaxRetryNow {
			r.occasion.log(cmd.Context(), log, "the coordinator tries transactions again", "transactions", total)
			fmt.Fprintf(cmd.OutOrStdout(), "the coordinator tries %d transactions again that would have waited for more than %s\n", total, r.dueAfter)
			return err
		}
	}
}

func (r *txRetry) one(cmd *cobra.Command, client *coordinator.Client, gid string) error {
	ctx := cmd.Context()
	before, err := client.Query(ctx, gid)
	switch {
	case err != nil:
		return err
	case before.Status.Finished():
		return fmt.Errorf("transaction %s has ended (%s): there is nothing to try again; if a branch is still held, see `tcckit barrier resolve`", gid, before.Status)
	case before.Status == coordinator.Prepared:
		return fmt.Errorf("transaction %s is not decided: there is nothing to try again; the coordinator aborts it when its time is up", gid)
	}
	act := acts.Act{GID: gid, Kind: acts.Retry, By: r.occasion.operator, Reason: r.occasion.reason, Before: string(before.Status)}
	return r.dbs.record(ctx, act, func(a *acts.Act) error {
		ctx, cancel := context.WithTimeout(ctx, r.wait)
		defer cancel()
		after, err := attempt.Have(ctx, client, before)
		if after != nil {
			a.After = string(after.Status)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no attempt was seen within %s: is the coordinator's recovery running? (%w)", r.wait, err)
		}
		if err != nil {
			return err
		}
		a.Note = outcome(after, time.Now())
		_, err = fmt.Fprintln(cmd.OutOrStdout(), a.Note)
		return err
	})
}

// outcome says what came of an attempt.
func outcome(after *coordinator.Info, now time.Time) string {
	next, ok := after.NextCall()
	if !ok {
		return fmt.Sprintf("tried, and it has ended: %s", after.Status)
	}
	return fmt.Sprintf("tried, and not finished: %s of branch %s at %s did not succeed; tried again %s", next.Phase, next.BranchID, next.Target, again(after, now))
}
