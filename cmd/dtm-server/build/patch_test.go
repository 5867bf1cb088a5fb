package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree writes files into a folder that is removed at the end of the test.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestApplyPatches(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a/one.go": "listen(all)\nserve()\n"})
	err := applyPatches(dir,
		[]replacement{{name: "loopback", file: "a/one.go", old: "listen(all)", new: "listen(loopback)"}},
		[]addition{{file: "a/two.go", content: []byte("package a\n")}})
	require.NoError(t, err)
	require.Equal(t, "listen(loopback)\nserve()\n", read(t, filepath.Join(dir, "a", "one.go")))
	require.Equal(t, "package a\n", read(t, filepath.Join(dir, "a", "two.go")))
}

func TestPatchesThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		replacement replacement
		addition    addition
		want        string
	}{
		"text not there":       {replacement: replacement{"p1", "one.go", "nothing of the kind", ""}, want: `patch "p1" does not fit: one.go: its text occurs 0 times`},
		"text twice":           {replacement: replacement{"p2", "one.go", "x", "y"}, want: `patch "p2" does not fit: one.go: its text occurs 2 times`},
		"file not there":       {replacement: replacement{"p3", "two.go", "x", "y"}, want: `patch "p3" does not fit: `},
		"added file is there":  {addition: addition{file: "one.go"}, want: "added file one.go does not fit"},
		"added file's folder?": {addition: addition{file: "no/one.go"}, want: "added file no/one.go does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, map[string]string{"one.go": "x and x"})
			var replacements []replacement
			var additions []addition
			if test.replacement.name != "" {
				replacements = append(replacements, test.replacement)
			}
			if test.addition.file != "" {
				additions = append(additions, test.addition)
			}
			require.ErrorContains(t, applyPatches(dir, replacements, additions), test.want)
			require.Equal(t, "x and x", read(t, filepath.Join(dir, "one.go")), "what does not fit changes nothing")
		})
	}
}

func pinnedDTM(t *testing.T) dtmModule {
	t.Helper()
	dtm, err := goTool{}.download(t.Context())
	require.NoError(t, err)
	return dtm
}

func TestOurPatchesFitThePinnedModule(t *testing.T) {
	t.Parallel()
	dtm := pinnedDTM(t)
	require.Equal(t, "v1.19.0", dtm.Version)
	dir, err := patchedTree(t.TempDir(), dtm)
	require.NoError(t, err)
	server := read(t, filepath.Join(dir, "dtmsvr", "svr.go"))
	require.Contains(t, server, "hook.ListenGRPC(")
	for _, opener := range []string{"net.Listen", "app.Run(", "ListenAndServe"} {
		require.NotContains(t, server, opener, "a listener past the hook")
	}
}

// Every patch is needed: a module in which the place of any one of them reads differently is refused, by
// name.
func TestAChangedModuleIsRefused(t *testing.T) {
	t.Parallel()
	dtm := pinnedDTM(t)
	for root, replacements := range map[string][]replacement{".": dtmReplacements(), "admin": consoleReplacements()} {
		for _, r := range replacements {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				content := read(t, filepath.Join(dtm.Dir, root, filepath.FromSlash(r.file)))
				dir := tree(t, map[string]string{r.file: content})
				require.NoError(t, applyPatches(dir, []replacement{r}, nil))
				dir = tree(t, map[string]string{r.file: strings.Replace(content, r.old, "\n// changed\n", 1)})
				require.ErrorContains(t, applyPatches(dir, []replacement{r}, nil), r.name)
			})
		}
	}
}
