package main

import (
	"github.com/spf13/cobra"
)

func newTxCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "tx",
		Short: "Look after global transactions at the coordinator",
	})
	cmd.AddCommand(newTxListCommand(), newTxShowCommand(), newTxRetryCommand(), newTxStopCommand())
	return cmd
}
