package main

import (
	"net"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/bench"
)

// newBenchAnswerCommand is a process of `bench order`.
func newBenchAnswerCommand() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:    "answer",
		Short:  "Run participants that answer at once",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var config net.ListenConfig
			l, err := config.Listen(cmd.Context(), "tcp", addr)
			if err != nil {
				return err
			}
			return bench.Answer(cmd.Context(), l)
		},
	}
	cmd.Flags().StringVar(&addr, "listen", "127.0.0.1:0", "address to listen on")
	return cmd
}
