package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// patchedTree returns a folder under work that holds the patched copy of the module. Its name says what is
// in it, so that a copy is made once and two builds at the same time do not disturb each other.
func patchedTree(work string, dtm dtmModule) (string, error) {
	replacements, additions := dtmReplacements(), dtmAdditions()
	tree := filepath.Join(work, "dtm-"+patchKey(dtm, replacements, additions))
	if _, err := os.Stat(tree); err == nil {
		return tree, nil
	}
	temp, err := os.MkdirTemp(work, "copy-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	copied := filepath.Join(temp, "dtm")
	if err := os.CopyFS(copied, os.DirFS(dtm.Dir)); err != nil {
		return "", fmt.Errorf("copy %s: %w", dtm.Dir, err)
	}
	if err := applyPatches(copied, replacements, additions); err != nil {
		return "", fmt.Errorf("%s %s: %w", dtmPath, dtm.Version, err)
	}
	if err := os.Rename(copied, tree); err != nil {
		if _, statErr := os.Stat(tree); statErr != nil {
			return "", err
		}
	}
	return tree, nil
}

func patchKey(dtm dtmModule, replacements []replacement, additions []addition) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", dtm.Version, dtm.Sum)
	for _, r := range replacements {
		fmt.Fprintf(h, "%q %q %q\n", r.file, r.old, r.new)
	}
	for _, a := range additions {
		fmt.Fprintf(h, "%q %q\n", a.file, a.content)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// replaceModfile writes, beside the tree, a copy of the module's go.mod in which DTM is replaced by the
// tree, and its go.sum, for go build's -modfile. (-overlay is refused for files in the module cache.)
func replaceModfile(moduleDir, tree string) (string, error) {
	relative, err := filepath.Rel(moduleDir, tree)
	if err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(moduleDir, "go.mod"))
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(moduleDir, "go.sum"))
	if err != nil {
		return "", err
	}
	mod = fmt.Appendf(mod, "\nreplace %s => ./%s\n", dtmPath, filepath.ToSlash(relative))
	if err := writeFile(tree+".mod", mod); err != nil {
		return "", err
	}
	return tree + ".mod", writeFile(tree+".sum", sum)
}

// writeFile replaces path in one step.
func writeFile(path string, content []byte) error {
	temp := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	if err := os.WriteFile(temp, content, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
