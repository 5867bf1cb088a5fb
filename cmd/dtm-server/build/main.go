// Command build makes the dtm-server binary out of the pinned DTM module, with nothing but Go:
//
//	go run -C cmd/dtm-server ./build -o ../../bin/dtm-server
//
// It copies the module's folder from the module cache into the git-ignored .build/, edits the copy (see
// patches.go), builds DTM's console with npm where there is one, and builds this module with the copy in
// place of the original. A build whose inputs have not changed is skipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dtm-server build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	out := flags.String("o", filepath.Join("..", "..", "bin", "dtm-server"), "the binary to write, relative to the working directory")
	stock := flags.Bool("stock", false, "build DTM as it is, unpatched and without console, for tests against it: it listens on all interfaces")
	console := flags.String("console", "auto", "DTM's console: auto (when npm is there and works), on (or fail), off, only (on, and no binary: for a stage of a Dockerfile)")
	goos := flags.String("goos", "", "target system (default: this one)")
	goarch := flags.String("goarch", "", "target architecture (default: this one)")
	force := flags.Bool("force", false, "build even if nothing has changed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	mode, err := parseConsoleMode(*console)
	if err != nil {
		return err
	}
	if *stock {
		mode = consoleOff
	}
	target, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	b := builder{
		out: target, stock: *stock, console: mode, force: *force,
		goTool: goTool{goos: *goos, goarch: *goarch}, log: log,
	}
	return b.build(ctx)
}
