package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/bench"
)

func newBenchBarrierCommand() *cobra.Command {
	var cfg bench.BarrierConfig
	cmd := &cobra.Command{
		Use:   "barrier",
		Short: "Measure what the barrier costs beside transactions written by hand",
		Long: `barrier measures branches a second on MySQL, of whole lifecycles, with the barrier and with a plain transaction a
branch, in turns; the latency and the allocations of a lone one; deadlocks; and the bytes of a barrier row. The last
line is a JSON object.

The database that it makes is deleted at the end.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.MySQL == "" {
				cfg.MySQL = os.Getenv(testMySQL)
			}
			if cfg.MySQL == "" {
				return usagef("--mysql is needed (`make bench-barrier` starts one)")
			}
			cfg.Out = cmd.OutOrStdout()
			figures, err := bench.Barrier(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			line, err := json.Marshal(figures)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", line)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.MySQL, "mysql", "", "DSN of a MySQL server, for a user that may create databases (default: "+testMySQL+" in the environment)")
	flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "how long one round takes")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how many rounds of each kind")
	flags.IntVar(&cfg.Rows, "rows", 1_000_000, "number of barrier rows whose bytes are measured")
	return cmd
}
