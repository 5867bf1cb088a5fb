package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/demo"
)

func newDemoCommand() *cobra.Command {
	var cfg demo.Config
	var given backends
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what it promises, on real processes: nothing needs to be installed",
		Long: `demo starts the shop and DTM, each service a process of its own or beside the one that it follows by message,
places orders through the gRPC API, kills services in the middle of some, and checks the figures. It exits with 0 only if every step held. On a terminal
everything then keeps running until Ctrl-C.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dtm, err := given.dtm()
			if err != nil {
				return err
			}
			cfg.Out, cfg.DTM, cfg.MySQL, cfg.RocketMQ = cmd.OutOrStdout(), dtm, given.mysql, given.rocketMQ
			if err := demo.Run(cmd.Context(), cfg); errors.Is(err, demo.ErrStep) {
				return quietError{err}
			} else if err != nil {
				return err
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&cfg.Dir, "dir", "", "folder for databases and logs, which stays (default: a temporary one, removed at the end)")
	given.register(cmd.Flags())
	return cmd
}
