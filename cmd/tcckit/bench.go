package main

import (
	"github.com/spf13/cobra"
)

func newBenchCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "bench",
		Short: "Measure",
	})
	cmd.AddCommand(newBenchOrderCommand(), newBenchBarrierCommand(), newBenchMessagesCommand(), newBenchAnswerCommand())
	return cmd
}
