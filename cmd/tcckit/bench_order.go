package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/bench"
)

// The servers that tests are given, which do for a benchmark.
const (
	testMySQL = "TCCKIT_TEST_MYSQL"
	testRedis = "TCCKIT_TEST_REDIS"
)

func newBenchOrderCommand() *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:   "order",
		Short: "Measure orders a second, beside what the coordinator allows",
		Long: `order measures how many orders a second are committed and carried out, each a debit and a reservation of one
line, with the services on MySQL and DTM on Redis, then DTM on MySQL; beside it, in the same rounds, the same with
participants that answer at once, and the same through PlaceOrder. After each round it verifies that no money and
no piece was lost. The last line is a JSON object.

The databases and keys that it makes are deleted at the end.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.MySQL == "" {
				cfg.MySQL = os.Getenv(testMySQL)
			}
			if cfg.Redis == "" {
				cfg.Redis = os.Getenv(testRedis)
			}
			if cfg.MySQL == "" || cfg.Redis == "" {
				return usagef("--mysql and --redis are needed (`make bench-order` starts both)")
			}
			cfg.Out = cmd.OutOrStdout()
			report, err := bench.Order(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return report.Write(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.MySQL, "mysql", "", "DSN of a MySQL server, for a user that may create databases (default: "+testMySQL+" in the environment)")
	flags.StringVar(&cfg.Redis, "redis", "", "host:port of a Redis server (default: "+testRedis+" in the environment)")
	flags.DurationVar(&cfg.Duration, "duration", 5*time.Second, "how long one round takes")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how many rounds of each kind")
	flags.IntSliceVar(&cfg.Clients, "clients", []int{1, 8, 32}, "numbers of clients")
	flags.IntVar(&cfg.Rows, "rows", 1000, "number of accounts, and of items")
	return cmd
}
