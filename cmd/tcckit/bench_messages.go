package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcckit/tcckit/internal/bench"
)

// testRocketMQ holds host:port of the name server that tests are given.
const testRocketMQ = "TCCKIT_TEST_ROCKETMQ"

func newBenchMessagesCommand() *cobra.Command {
	var cfg bench.MessagesConfig
	cmd := &cobra.Command{
		Use:   "messages",
		Short: "Measure outbox, RocketMQ and inbox",
		Long: `messages measures how fast an outbox's relay publishes, beside a loop that sends and marks one row at a time; the time
from the commit of a message to that of its consumer; what the inbox adds to a message's work; how fast messages are
consumed; and what a message in the outbox, and a half message, add to their sender's transaction. The last line is a
JSON object.

The database that it makes is deleted at the end; the topics stay at the broker.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.MySQL == "" {
				cfg.MySQL = os.Getenv(testMySQL)
			}
			if cfg.RocketMQ == "" {
				cfg.RocketMQ = os.Getenv(testRocketMQ)
			}
			if cfg.MySQL == "" || cfg.RocketMQ == "" {
				return usagef("--mysql and --rocketmq are needed (`make bench-messages` starts both)")
			}
			cfg.Out = cmd.OutOrStdout()
			figures, err := bench.Messages(cmd.Context(), cfg)
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
	flags.StringVar(&cfg.RocketMQ, "rocketmq", "", "host:port of a name server (default: "+testRocketMQ+" in the environment)")
	flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "how long one round takes")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how many rounds of each kind")
	flags.IntVar(&cfg.Messages, "messages", 20_000, "number of messages that wait when a relay or a consumer begins")
	return cmd
}
