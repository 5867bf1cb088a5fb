//go:build unix

// Command withservers runs a command, usually `go test`, with real servers at hand:
//
//	withservers [-servers mysql,mariadb,redis,rocketmq] -- go test -race ./...
//
// It starts a server of each kind whose address the environment does not give, puts the addresses into
// the command's environment (see package testserver) and stops the servers when the command has ended.
// It exits with the command's status. SIGINT and SIGTERM go to the command; a second one kills it.
// Neither servers nor command outlive it, not even when it is killed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/tcckit/tcckit/internal/localserver"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == superviseArg {
		supervise(os.Args[2:])
	}
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withservers:", err)
	}
	os.Exit(status)
}

// run returns the status to exit with and what to say.
func run(args []string) (status int, err error) {
	flags := flag.NewFlagSet("withservers", flag.ContinueOnError)
	names := flags.String("servers", "mysql,mariadb,redis,rocketmq", "the servers that the command needs")
	if err := flags.Parse(args); err != nil {
		return 2, nil // flags has said it
	}
	if flags.NArg() == 0 {
		return 2, errors.New("no command given: withservers [-servers mysql,mariadb,redis,rocketmq] -- COMMAND")
	}
	kinds, err := parseKinds(*names)
	if err != nil {
		return 2, err
	}

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	// It hears of the same signals, so none that arrives during the start is lost.
	starting, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	set, err := start(starting, kinds)
	cancel()
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := set.stop(); stopErr != nil {
			status, err = max(status, 1), errors.Join(err, stopErr)
		}
	}()
	return execute(signals, flags.Args(), append(os.Environ(), set.environ...))
}

func parseKinds(names string) ([]localserver.Kind, error) {
	var kinds []localserver.Kind
	for name := range strings.SplitSeq(names, ",") {
		switch kind := localserver.Kind(name); kind {
		case localserver.MySQL, localserver.MariaDB, localserver.Redis, localserver.KindRocketMQ:
			kinds = append(kinds, kind)
		default:
			return nil, fmt.Errorf("-servers: %q is none of mysql, mariadb, redis, rocketmq", name)
		}
	}
	return kinds, nil
}
