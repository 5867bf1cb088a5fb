package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/internal/background"
	"github.com/tcckit/tcckit/internal/stack"
)

// upTimeout bounds the start of everything.
const upTimeout = 3 * time.Minute

func newUpCommand() *cobra.Command {
	var (
		dir        string
		given      backends
		broker     bool
		logs       logFlags
		foreground bool
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Keep the shop running in the background: its services and DTM",
		Long: `up starts the shop and DTM in the background, and returns when all of it takes work. order, account, stock and DTM
are processes of their own that are started again should they end; cart, dispatch and two banks run beside order,
express beside stock, for without RocketMQ the messages that drive them stay within a process. Run again it changes
nothing. "tcckit down" ends it; the data stays in the folder.

--start-rocketmq starts a RocketMQ, too, which "deploy/local/get-servers.sh rocketmq" has fetched into this checkout;
"make up ROCKETMQ=1" does both.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := upConfig(dir, given, broker)
			if err != nil {
				return err
			}
			log, err := logs.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if foreground {
				return background.Keep(cmd.Context(), cfg, log)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), upTimeout)
			defer cancel()
			state, started, err := background.Up(ctx, cfg.Dir, inForeground(cfg, given, logs))
			if err != nil {
				return err
			}
			printState(cmd.OutOrStdout(), cfg.Dir, state, started)
			return nil
		},
	}
	registerDir(cmd.Flags(), &dir)
	given.register(cmd.Flags())
	cmd.Flags().BoolVar(&broker, startRocketMQ, false, "start a RocketMQ of the shop's own, in the background too")
	logs.register(cmd.Flags())
	cmd.Flags().BoolVar(&foreground, "foreground", false, "stay in the foreground, until SIGTERM")
	return cmd
}

// startRocketMQ is the flag that asks for a RocketMQ of the shop's own.
const startRocketMQ = "start-rocketmq"

// registerDir registers the flag that up and down share.
func registerDir(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "dir", defaultUpDir(), "folder for data, logs and state")
}

// defaultUpDir is where programs keep their state, as XDG has it.
func defaultUpDir() string {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tcckit")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "tcckit")
	}
	return filepath.Join(home, ".local", "state", "tcckit")
}

func upConfig(dir string, given backends, broker bool) (stack.Config, error) {
	dtm, err := given.dtm()
	if err != nil {
		return stack.Config{}, err
	}
	if broker && len(given.rocketMQ) > 0 {
		return stack.Config{}, usagef("--rocketmq names one that runs, so --%s must not start another", startRocketMQ)
	}
	cfg := stack.Config{DTM: dtm, Follow: true, RocketMQ: given.rocketMQ, OwnRocketMQ: broker, FixedPorts: true}
	if given.mysql != "" {
		server, err := stack.NewMySQL(given.mysql, "tcckit")
		if err != nil {
			return cfg, usageError{fmt.Errorf("--mysql: %w", err)}
		}
		cfg.Databases = server.Databases()
	}
	if cfg.Program, err = os.Executable(); err != nil {
		return cfg, err
	}
	if cfg.Dir, err = filepath.Abs(dir); err != nil {
		return cfg, err
	}
	return cfg, os.MkdirAll(cfg.Dir, 0o700)
}

// inForeground is the process in the background. What may hold a password comes by the environment.
func inForeground(cfg stack.Config, given backends, logs logFlags) background.Command {
	return background.Command{
		Program: cfg.Program,
		Args:    []string{"up", "--foreground", "--dir=" + cfg.Dir, "--log-level=" + logs.level, "--log-format=json"},
		Env: append(os.Environ(),
			environmentName("mysql")+"="+given.mysql,
			environmentName("dtm-grpc")+"="+given.dtmGRPC,
			environmentName("dtm-http")+"="+given.dtmHTTP,
			environmentName("rocketmq")+"="+strings.Join(given.rocketMQ, ","),
			environmentName(startRocketMQ)+"="+strconv.FormatBool(cfg.OwnRocketMQ)),
	}
}

func printState(out io.Writer, dir string, s background.State, started bool) {
	if started {
		fmt.Fprintf(out, "running in the background, process %d\n\n", s.PID)
	} else {
		fmt.Fprintf(out, "runs already, process %d\n\n", s.PID)
	}
	for _, name := range stack.Services() {
		a := s.Services[name]
		fmt.Fprintf(out, "  %-8s public %s   internal %s   metrics http://%s/metrics\n", name, a.Public, a.Internal, a.Admin)
		if beside := stack.Followers(name); len(beside) > 0 {
			fmt.Fprintf(out, "  %-8s and beside it, at the same addresses, %s\n", "", strings.Join(beside, ", "))
		}
	}
	fmt.Fprintf(out, "  %-8s console %s   grpc %s\n", "DTM", s.DTM.HTTPURL, s.DTM.GRPCAddr)
	messages := "stay within their process"
	if len(s.RocketMQ) > 0 {
		messages = "go by RocketMQ, name server " + strings.Join(s.RocketMQ, ", ")
	}
	fmt.Fprintf(out, "  %-8s %s\n\n", "messages", messages)
	down := "tcckit down"
	if dir != defaultUpDir() {
		down += " --dir " + dir
	}
	fmt.Fprintf(out, "data and logs are in %s; `%s` ends it\n", dir, down)
}
