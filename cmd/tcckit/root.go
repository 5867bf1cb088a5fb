package main

import (
	"github.com/spf13/cobra"
)

func newRootCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "tcckit",
		Short: "Try/Confirm/Cancel over gRPC: the shop's services and what keeps them healthy",
		Long: `tcckit runs the shop's services and looks after them.

Every flag can also be given in the environment: --dtm-grpc as TCCKIT_DTM_GRPC. A flag on the command line
wins.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Version:           version(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return flagsFromEnvironment(cmd) },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	})
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddCommand(
		newServeCommand(),
		newHealthCommand(),
		newMigrateCommand(),
		newBarrierCommand(),
		newTxCommand(),
		newOutboxCommand(),
		newDeadLetterCommand(),
		newDemoCommand(),
		newUpCommand(),
		newDownCommand(),
		newBenchCommand(),
		newSmokeCommand(),
		newVersionCommand(),
	)
	return cmd
}
