package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// mutation is a planted bug.
type mutation struct {
	name  string
	edits []edit
	// test is the path of the test, with its subtests, that finds it.
	test string
	// says is part of the message with which it does.
	says string
}

// edit is one exact replacement. Nothing is fuzzy: text that does not occur exactly once is not the one
// that the bug was thought out for.
type edit struct {
	file string // slash-separated path in the module
	old  string
	new  string
}

// overlay writes the edited files into dir, and a file for go build's -overlay that names them.
func (m mutation) overlay(root, dir string) (path string, err error) {
	replace := make(map[string]string)
	for i, e := range m.edits {
		original := filepath.Join(root, filepath.FromSlash(e.file))
		from, edited := replace[original]
		if !edited {
			from = original
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := bytes.Count(content, []byte(e.old)); n != 1 {
			return "", fmt.Errorf("%s: its text occurs %d times, want exactly 1:\n%s", e.file, n, e.old)
		}
		to := filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(e.file)))
		if err := os.WriteFile(to, bytes.Replace(content, []byte(e.old), []byte(e.new), 1), 0o600); err != nil {
			return "", err
		}
		replace[original] = to
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, content, 0o600)
}
