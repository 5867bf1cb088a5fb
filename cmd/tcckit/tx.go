package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/coordinator"
)

func newTxCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "tx",
		Short: "Look after global transactions at the coordinator",
	})
	cmd.AddCommand(newTxRetryCommand())
	return cmd
}

func newTxRetryCommand() *cobra.Command {
	var (
		dtm      dtmFlags
		dueAfter = days(time.Minute)
	)
	cmd := &cobra.Command{
		Use:   "retry",
		Short: "Have the coordinator try again now what waits there",
		Long: `retry has the coordinator try now what it would try again only later: transactions whose Confirms or Cancels
it could not finish, and which wait twice as long after each failure. It is for when a participant is back or
repaired. What fails again waits longer than before, so do not run it in a loop.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if dueAfter.duration() < time.Second {
				return usagef("--due-after must be at least 1s")
			}
			client, closeClient, err := dtm.client()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeClient()) }()
			total := 0
			for {
				n, err := client.RetryNow(cmd.Context(), dueAfter.duration(), 0)
				total += n
				if err != nil || n < coordinator.MaxRetryNow {
					fmt.Fprintf(cmd.OutOrStdout(), "the coordinator tries %d transactions again that would have waited for more than %s\n", total, dueAfter)
					return err
				}
			}
		},
	}
	dtm.register(cmd.Flags())
	cmd.Flags().Var(&dueAfter, "due-after", "only those that it would try again only after this time")
	return cmd
}
