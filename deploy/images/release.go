package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A release says what is built. The same release gives the same bytes.
type release struct {
	version  string // of tcckit, as in an image's tag
	revision string // the commit
	time     time.Time
}

// created is the time as labels and SBOMs have it.
func (r release) created() string { return r.time.UTC().Format(time.RFC3339) }

// findRelease takes what the environment says (VERSION, REVISION, SOURCE_DATE_EPOCH), else the chart's version of
// the programs, so that chart, compose and images agree, and what git in root knows of the commit.
func findRelease(ctx context.Context, root string) (release, error) {
	r := release{version: os.Getenv("VERSION")}
	var err error
	if r.version == "" {
		if r.version, err = chartVersion(filepath.Join(root, "deploy", "helm", "tcckit", "Chart.yaml")); err != nil {
			return release{}, err
		}
	}
	if r.revision, err = envOrGit(ctx, "REVISION", root, "rev-parse", "HEAD"); err != nil {
		return release{}, err
	}
	epoch, err := envOrGit(ctx, "SOURCE_DATE_EPOCH", root, "log", "-1", "--format=%ct")
	if err != nil {
		return release{}, err
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return release{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970", epoch)
	}
	r.time = time.Unix(seconds, 0)
	return r, nil
}

// chartVersion is the appVersion of a chart.
func chartVersion(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^appVersion: *"?([^"\s]+)"?\s*$`).FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("%s names no appVersion: set VERSION", file)
	}
	return string(m[1]), nil
}

func envOrGit(ctx context.Context, name, root string, args ...string) (string, error) {
	if value := os.Getenv(name); value != "" {
		return value, nil
	}
	out, err := output(ctx, root, nil, "git", args...)
	if err != nil {
		return "", fmt.Errorf("%s is not set, and git does not tell it: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// output runs a program in dir, with env beside the process's own, and returns what it wrote to stdout. The error
// has what it wrote to stderr.
func output(ctx context.Context, dir string, env []string, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return out, nil
}
