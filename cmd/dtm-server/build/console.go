package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// consoleMode says whether the console is built.
type consoleMode string

const (
	consoleAuto consoleMode = "auto" // when npm is there; a failure is a warning
	consoleOn   consoleMode = "on"   // a failure is an error
	consoleOff  consoleMode = "off"
	consoleOnly consoleMode = "only" // on, and the binary is not
)

func parseConsoleMode(s string) (consoleMode, error) {
	switch m := consoleMode(s); m {
	case consoleAuto, consoleOn, consoleOff, consoleOnly:
		return m, nil
	default:
		return "", fmt.Errorf("-console=%s: want auto, on, off or only", s)
	}
}

// npmTimeout bounds each of npm's steps; together they take about 40 seconds.
const npmTimeout = 10 * time.Minute

// consoleBuilder builds the module's admin folder, DTM's web console, into dest for embedding.
type consoleBuilder struct {
	module       dtmModule
	replacements []replacement
	work         string
	dest         string
	log          io.Writer
}

// env names the version of the server that the console expects; it warns of another.
func (c consoleBuilder) env() []string {
	return []string{"VITE_ADMIN_VERSION=" + c.module.Version + versionSuffix}
}

// steps are the commands that build the console. The lock file pins each package with its hash. Install
// scripts of packages do not run: none is needed.
func (c consoleBuilder) steps() [][]string {
	return [][]string{
		{"npm", "ci", "--legacy-peer-deps", "--replace-registry-host=always", "--ignore-scripts", "--no-audit", "--no-fund"},
		{"npx", "--no-install", "vite", "build"},
	}
}

func (c consoleBuilder) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %q %q %q\n", c.module.Version, c.module.Sum, c.steps(), c.replacements, c.env())
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// ensure makes the console ready for embedding and returns a key that names it, or "" if the binary is to
// be built without it. A console once built is used again; a failed attempt is not repeated by itself.
func (c consoleBuilder) ensure(ctx context.Context, mode consoleMode) (string, error) {
	if mode == consoleOff {
		return "", nil
	}
	key := c.key()
	built, failed := filepath.Join(c.work, "console.built"), filepath.Join(c.work, "console.failed")
	if hasContent(built, key) && isFile(filepath.Join(c.dest, "index.html")) {
		return key, nil
	}
	if mode == consoleAuto {
		if !isInstalled("npm") {
			fmt.Fprintln(c.log, "npm is not installed: building without DTM's console")
			return "", nil
		}
		if hasContent(failed, key) {
			fmt.Fprintln(c.log, "building without DTM's console, which could not be built before; -console=on tries again")
			return "", nil
		}
	}
	fmt.Fprintln(c.log, "building DTM's console with npm (about 40 seconds, once)")
	_ = os.Remove(built)
	if err := c.build(ctx); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if mode == consoleOn || mode == consoleOnly {
			return "", fmt.Errorf("console: %w", err)
		}
		fmt.Fprintf(c.log, "warning: building without DTM's console: %v\n", err)
		return "", writeFile(failed, []byte(key))
	}
	_ = os.Remove(failed)
	return key, writeFile(built, []byte(key))
}

func (c consoleBuilder) build(ctx context.Context) error {
	temp, err := os.MkdirTemp(c.work, "admin-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	admin := filepath.Join(temp, "admin")
	if err := os.CopyFS(admin, os.DirFS(filepath.Join(c.module.Dir, "admin"))); err != nil {
		return err
	}
	if err := applyPatches(admin, c.replacements, nil); err != nil {
		return err
	}
	for _, step := range c.steps() {
		if err := c.runStep(ctx, admin, step); err != nil {
			return err
		}
	}
	dist := filepath.Join(admin, "dist")
	if !isFile(filepath.Join(dist, "index.html")) {
		return fmt.Errorf("%s left no index.html", strings.Join(c.steps()[1], " "))
	}
	if err := os.RemoveAll(c.dest); err != nil {
		return err
	}
	return os.Rename(dist, c.dest)
}

func (c consoleBuilder) runStep(ctx context.Context, dir string, step []string) error {
	ctx, cancel := context.WithTimeout(ctx, npmTimeout)
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, step[0], step[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), c.env()...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(step, " "), err, lastLines(output.String(), 15))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func hasContent(path, want string) bool {
	content, err := os.ReadFile(path)
	return err == nil && string(content) == want
}

func isInstalled(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
