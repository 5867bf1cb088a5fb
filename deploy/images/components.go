package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// goComponents are the modules that binaries of one program were built of, as the binaries themselves say.
func goComponents(p program, r release, binaries []string) ([]component, error) {
	found := make(map[string]component)
	add := func(path, version, comment string) {
		c := component{name: path, version: version, purl: "pkg:golang/" + path + "@" + version, comment: comment}
		found[c.purl] = c
	}
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return nil, fmt.Errorf("what %s was built of: %w", p.name, err)
		}
		add(info.Main.Path, r.version, "")
		add("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "Go's standard library")
		for _, dep := range info.Deps {
			add(dep.Path, dep.Version, replaced(dep))
		}
	}
	return slices.Collect(func(yield func(component) bool) {
		for _, purl := range slices.Sorted(maps.Keys(found)) {
			if !yield(found[purl]) {
				return
			}
		}
	}), nil
}

func replaced(dep *debug.Module) string {
	if dep.Replace == nil {
		return ""
	}
	return "built from a copy that was patched: cmd/dtm-server/README.md says what was changed"
}

// consoleComponents are the npm packages of which DTM's console was built, by its lock file: a superset of what
// is in it.
func consoleComponents(ctx context.Context, root string) ([]component, error) {
	out, err := output(ctx, filepath.Join(root, "cmd", "dtm-server"), nil, "go", "mod", "download", "-json", "github.com/dtm-labs/dtm")
	if err != nil {
		return nil, err
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	content, err := os.ReadFile(filepath.Join(module.Dir, "admin", "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct {
			Version, License string
			Dev              bool
		}
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		return nil, fmt.Errorf("DTM's package-lock.json: %w", err)
	}
	var components []component
	for _, path := range slices.Sorted(maps.Keys(lock.Packages)) {
		one := lock.Packages[path]
		i := strings.LastIndex(path, "node_modules/")
		if one.Dev || i < 0 {
			continue
		}
		name := path[i+len("node_modules/"):]
		components = append(components, component{
			name: name, version: one.Version, license: one.License, comment: "of DTM's console",
			purl: "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + one.Version,
		})
	}
	return components, nil
}
