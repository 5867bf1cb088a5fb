package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// tested is the package whose tests find the bugs.
	tested = "./barrier/mysql"
	// testTimeout bounds one test of a bug; the slowest wait for what never comes.
	testTimeout = "5m"
	// stopTimeout is how long a test that is interrupted may take to end.
	stopTimeout = 10 * time.Second
)

// job plants bugs in the module at root.
type job struct {
	root string
	dir  string // for what is built
	out  io.Writer
}

func moduleRoot(ctx context.Context) (string, error) {
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(gomod))), nil
}

// run runs every mutation's test without the bug, where it must pass, and with it, where it must fail.
func (j *job) run(ctx context.Context, chosen []mutation) error {
	if len(chosen) == 0 {
		return errors.New("no such bug")
	}
	if err := j.unmutated(ctx, chosen); err != nil {
		return err
	}
	var survived []string
	for _, m := range chosen {
		started := time.Now()
		if err := j.mutated(ctx, m); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			survived = append(survived, m.name)
			fmt.Fprintf(j.out, "NOT FOUND %s: %v\n", m.name, err)
			continue
		}
		fmt.Fprintf(j.out, "found     %-62s %s (%.0f s)\n", m.name, m.test, time.Since(started).Seconds())
	}
	if len(survived) > 0 {
		return fmt.Errorf("%d of %d bugs were not found: %s", len(survived), len(chosen), strings.Join(survived, "; "))
	}
	fmt.Fprintf(j.out, "%d bugs planted, all found; the tests are green without them\n", len(chosen))
	return nil
}

func (j *job) unmutated(ctx context.Context, chosen []mutation) error {
	binary, err := j.build(ctx, j.dir, "")
	if err != nil {
		return err
	}
	var tests []string
	for _, m := range chosen {
		tests = append(tests, m.test)
	}
	slices.Sort(tests)
	started := time.Now()
	for _, test := range slices.Compact(tests) {
		output, err := j.test(ctx, binary, test)
		if err != nil || !strings.Contains(output, "--- PASS: "+test+" ") {
			return fmt.Errorf("%s is not green without a bug: %w\n%s", test, err, output)
		}
	}
	fmt.Fprintf(j.out, "green     without bugs (%.0f s)\n", time.Since(started).Seconds())
	return nil
}

// mutated returns an error unless the mutation's own test fails with its own message.
func (j *job) mutated(ctx context.Context, m mutation) error {
	dir, err := os.MkdirTemp(j.dir, "")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := m.overlay(j.root, dir)
	if err != nil {
		return err
	}
	binary, err := j.build(ctx, dir, overlay)
	if err != nil {
		return err
	}
	output, err := j.test(ctx, binary, m.test)
	switch {
	case err == nil:
		return fmt.Errorf("%s is green", m.test)
	case !strings.Contains(output, "--- FAIL: "+m.test+" "):
		return fmt.Errorf("%s did not fail by itself: %w\n%s", m.test, err, output)
	case !strings.Contains(output, m.says):
		return fmt.Errorf("%s failed, but did not say %q:\n%s", m.test, m.says, output)
	}
	return nil
}

// build builds the tests and returns their binary.
func (j *job) build(ctx context.Context, dir, overlay string) (string, error) {
	binary := filepath.Join(dir, "tests")
	args := []string{"test", "-c", "-vet=off", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, tested)...)
	cmd.Dir = j.root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, output)
	}
	return binary, nil
}

// test runs one test and returns what it printed.
func (j *job) test(ctx context.Context, binary, test string) (string, error) {
	levels := strings.Split(test, "/")
	for i, l := range levels {
		levels[i] = "^" + regexp.QuoteMeta(l) + "$"
	}
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.timeout", testTimeout, "-test.run", strings.Join(levels, "/"))
	cmd.Dir = filepath.Join(j.root, filepath.FromSlash(tested))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	output, err := cmd.CombinedOutput()
	return string(output), err
}
