package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "binary")
	s := newStamp(t.TempDir(), out)
	require.Error(t, s.write("key"), "there is no binary")
	require.NoError(t, os.WriteFile(out, []byte("1"), 0o755))
	require.False(t, s.fresh("key"), "never stamped")
	require.NoError(t, s.write("key"))
	require.True(t, s.fresh("key"))
	require.False(t, s.fresh("other"), "other inputs")
	require.NoError(t, os.WriteFile(out, []byte("22"), 0o755))
	require.False(t, s.fresh("key"), "another binary")
}

func TestInputs(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"go.mod": "module m\n", "a.go": "1", "a_test.go": "1", ".build/x": "1", "console/y": "1"})
	key := func(change func(*builder)) string {
		b := builder{goTool: goTool{dir: dir}}
		change(&b)
		k, err := b.inputs(t.Context(), dtmModule{Version: "v1"}, "")
		require.NoError(t, err)
		return k
	}
	same := func(*builder) {}
	first := key(same)
	for _, name := range []string{"a_test.go", ".build/x", "console/y"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("2"), 0o644))
	}
	require.Equal(t, first, key(same), "tests and products are no inputs")
	require.NotEqual(t, first, key(func(b *builder) { b.stock = true }))
	require.NotEqual(t, first, key(func(b *builder) { b.goTool.goarch = "riscv64" }))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("2"), 0o644))
	require.NotEqual(t, first, key(same))
}
