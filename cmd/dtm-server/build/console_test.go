package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// consoleBench is a consoleBuilder on a small module, with programs that play npm and npx.
type consoleBench struct {
	consoleBuilder

	log  *bytes.Buffer
	runs string // a line for each run of a program
}

// newConsoleBench gives npm and npx as shell scripts; with empty ones, there is no npm.
func newConsoleBench(t *testing.T, npm, npx string) consoleBench {
	t.Helper()
	bin := t.TempDir()
	b := consoleBench{log: &bytes.Buffer{}, runs: filepath.Join(t.TempDir(), "runs")}
	for name, script := range map[string]string{"npm": npm, "npx": npx} {
		if script != "" {
			script = "#!/bin/sh\necho " + name + " $VITE_ADMIN_VERSION >>" + b.runs + "\n" + script + "\n"
			require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755))
		}
	}
	t.Setenv("PATH", bin)
	work := t.TempDir()
	b.consoleBuilder = consoleBuilder{
		module: dtmModule{Dir: tree(t, map[string]string{"admin/package.json": "{}"}), Version: "v1", Sum: "h1:x"},
		work:   work, dest: filepath.Join(work, "console"), log: b.log,
	}
	return b
}

func (b consoleBench) count(t *testing.T) int {
	t.Helper()
	if !isFile(b.runs) {
		return 0
	}
	return strings.Count(read(t, b.runs), "\n")
}

func (b consoleBench) left(t *testing.T) []string {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(b.work, "admin-*"))
	require.NoError(t, err)
	return entries
}

const viteBuild = "[ -f package.json ] || exit 1; /bin/mkdir dist; echo page >dist/index.html"

func TestConsoleIsBuiltOnce(t *testing.T) {
	b := newConsoleBench(t, "exit 0", viteBuild)
	for range 3 {
		key, err := b.ensure(t.Context(), consoleAuto)
		require.NoError(t, err)
		require.NotEmpty(t, key)
	}
	require.Equal(t, "page\n", read(t, filepath.Join(b.dest, "index.html")))
	require.Equal(t, "npm v1+tcckit\nnpx v1+tcckit\n", read(t, b.runs))
	require.Empty(t, b.left(t))

	b.module.Sum = "h1:y"
	_, err := b.ensure(t.Context(), consoleAuto)
	require.NoError(t, err)
	require.Equal(t, 4, b.count(t), "another module is built anew")
}

func TestConsoleOff(t *testing.T) {
	b := newConsoleBench(t, "exit 0", viteBuild)
	key, err := b.ensure(t.Context(), consoleOff)
	require.NoError(t, err)
	require.Empty(t, key)
	require.Zero(t, b.count(t))
}

func TestConsoleWithoutNpm(t *testing.T) {
	b := newConsoleBench(t, "", "")
	key, err := b.ensure(t.Context(), consoleAuto)
	require.NoError(t, err)
	require.Empty(t, key)
	require.Contains(t, b.log.String(), "npm is not installed")
	_, err = b.ensure(t.Context(), consoleOn)
	require.ErrorContains(t, err, "npm")
}

func TestConsoleThatCannotBeBuilt(t *testing.T) {
	b := newConsoleBench(t, "echo no network; exit 1", viteBuild)
	for range 3 {
		key, err := b.ensure(t.Context(), consoleAuto)
		require.NoError(t, err)
		require.Empty(t, key)
	}
	require.Contains(t, b.log.String(), "no network")
	require.Equal(t, 1, b.count(t), "a failure is not repeated with every build")
	_, err := b.ensure(t.Context(), consoleOn)
	require.ErrorContains(t, err, "no network")
	require.Equal(t, 2, b.count(t), "unless asked for")
	require.Empty(t, b.left(t))
}

func TestConsoleModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "on", "off", "only"} {
		got, err := parseConsoleMode(mode)
		require.NoError(t, err)
		require.Equal(t, consoleMode(mode), got)
	}
	_, err := parseConsoleMode("yes")
	require.ErrorContains(t, err, "auto, on, off or only")
}
