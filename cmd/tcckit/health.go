package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/health/grpc_health_v1"
)

const defaultHealth = "127.0.0.1:7404"

func newHealthCommand() *cobra.Command {
	var (
		addr, service string
		timeout       time.Duration
	)
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a process that serves whether it takes work",
		Long: `health asks the address that serve --listen-health names, and ends with 0 only if the process takes work. It is for
whatever watches a container that has no other program in it.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if timeout <= 0 {
				return usagef("--timeout must be more than 0")
			}
			conn, err := connect(addr, nil)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
			if err != nil {
				return fmt.Errorf("%s gives no answer: %w", addr, err)
			}
			if status := resp.GetStatus(); status != grpc_health_v1.HealthCheckResponse_SERVING {
				return fmt.Errorf("%s takes no work: %s", addr, status)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&addr, "addr", defaultHealth, "host:port of the health listener")
	flags.StringVar(&service, "service", "", "\"\": whether it takes work; liveness: whether it runs")
	flags.DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	return cmd
}
