// Command tcckit runs the shop's services and looks after them. `tcckit help` lists what it can do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes a command line and returns the exit code: 0, 1 for what failed, 2 for a command line or
// environment that makes no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if !errors.As(err, new(quietError)) {
		fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), err)
	}
	if errors.As(err, new(usageError)) {
		fmt.Fprintf(stderr, "`%s --help` says what it takes.\n", cmd.CommandPath())
		return 2
	}
	return 1
}

// usageError is a command line or environment that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef returns a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// quietError is a failure whose whole story has been printed already.
type quietError struct{ err error }

func (e quietError) Error() string { return e.err.Error() }
func (e quietError) Unwrap() error { return e.err }
