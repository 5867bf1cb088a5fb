package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBugsFitTheSource: whoever changes the barrier changes its bugs with it.
func TestBugsFitTheSource(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot(t.Context())
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, m := range mutations() {
		require.False(t, names[m.name], "two bugs are called %q", m.name)
		names[m.name] = true
		require.NotEmpty(t, m.says, m.name)
		_, err := m.overlay(root, t.TempDir())
		require.NoError(t, err, m.name)
	}
	require.GreaterOrEqual(t, len(names), 10)
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	original := filepath.Join(root, "a.go")
	require.NoError(t, os.WriteFile(original, []byte("one two three"), 0o600))
	m := mutation{edits: []edit{{"a.go", "one", "1"}, {"a.go", "two", "2"}}}
	path, err := m.overlay(root, t.TempDir())
	require.NoError(t, err)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var overlay struct{ Replace map[string]string }
	require.NoError(t, json.Unmarshal(content, &overlay))
	edited, err := os.ReadFile(overlay.Replace[original])
	require.NoError(t, err)
	require.Equal(t, "1 2 three", string(edited))
	unchanged, err := os.ReadFile(original)
	require.NoError(t, err)
	require.Equal(t, "one two three", string(unchanged))

	for _, old := range []string{"four", "e"} {
		_, err := mutation{edits: []edit{{"a.go", old, ""}}}.overlay(root, t.TempDir())
		require.ErrorContains(t, err, "want exactly 1")
	}
}
