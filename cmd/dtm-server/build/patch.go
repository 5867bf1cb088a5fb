package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// A replacement is one exact edit of a file in the copied module.
type replacement struct {
	name string // what it is for; named when it does not apply
	file string // slash-separated path in the module
	old  string // must occur exactly once
	new  string
}

// An addition is a file that the copied module gets in addition to its own.
type addition struct {
	file    string // slash-separated path in the module; must not exist
	content []byte
}

// applyPatches edits the module copied to dir. Nothing is fuzzy: a replacement whose text does not occur
// exactly once, or an addition that would overwrite a file, is an error that names it, for then the source
// is not the one that the patch was written for and has to be read again.
func applyPatches(dir string, replacements []replacement, additions []addition) error {
	for _, r := range replacements {
		if err := r.apply(dir); err != nil {
			return fmt.Errorf("patch %q does not fit: %w", r.name, err)
		}
	}
	for _, a := range additions {
		if err := a.apply(dir); err != nil {
			return fmt.Errorf("added file %s does not fit: %w", a.file, err)
		}
	}
	return nil
}

func (r replacement) apply(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(r.file))
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := bytes.Count(content, []byte(r.old)); n != 1 {
		return fmt.Errorf("%s: its text occurs %d times, want exactly 1", r.file, n)
	}
	return os.WriteFile(path, bytes.Replace(content, []byte(r.old), []byte(r.new), 1), 0o644)
}

func (a addition) apply(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(a.file))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(a.content); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
