package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// goTool runs the go command for a target.
type goTool struct {
	dir          string // the nested module's folder
	goos, goarch string // empty: this machine's
}

// dtmModule is the pinned module as the go command knows it.
type dtmModule struct {
	Dir     string // in the module cache, read-only
	Version string
	Sum     string // its hash in go.sum
	Error   string
}

const dtmPath = "github.com/dtm-labs/dtm"

// download makes sure that the pinned DTM module is in the module cache.
func (g goTool) download(ctx context.Context) (dtmModule, error) {
	var m dtmModule
	out, err := g.output(ctx, "mod", "download", "-json", dtmPath)
	if len(out) > 0 {
		if jsonErr := json.Unmarshal(out, &m); jsonErr != nil {
			return m, fmt.Errorf("go mod download %s: %w", dtmPath, jsonErr)
		}
	}
	if m.Error != "" {
		return m, fmt.Errorf("go mod download %s: %s", dtmPath, m.Error)
	}
	return m, err
}

// env returns the values of go env variables for the target, a line each.
func (g goTool) env(ctx context.Context, names ...string) ([]string, error) {
	out, err := g.output(ctx, append([]string{"env"}, names...)...)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), err
}

// output runs go with args and returns what it wrote to stdout.
func (g goTool) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if g.goos != "" {
		cmd.Env = append(cmd.Env, "GOOS="+g.goos)
	}
	if g.goarch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+g.goarch)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, err
}
