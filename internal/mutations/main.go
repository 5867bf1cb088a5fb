// Command mutations plants bugs in the barrier, one at a time, and runs the test that should find each:
//
//	bin/withservers -servers mysql -- go run ./internal/mutations [-run REGEXP]
//
// It fails if a bug goes unnoticed, if one is found by another test or with another message than it should
// be, if the tests are not green without bugs, or if the source is not the one that a bug was written for.
// Nothing in the checkout changes: go builds the tests with -overlay.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutations:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutations", flag.ContinueOnError)
	pattern := flags.String("run", "", "plant only the bugs whose name matches")
	if err := flags.Parse(args); err != nil {
		return err
	}
	matches, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	var chosen []mutation
	for _, m := range mutations() {
		if matches.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	dir, err := os.MkdirTemp("", "mutations-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return (&job{root: root, dir: dir, out: out}).run(ctx, chosen)
}
