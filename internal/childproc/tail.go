package childproc

import (
	"bytes"
	"strings"
	"sync"
)

// maxLine bounds a kept line, in bytes; what is longer is cut.
const maxLine = 2000

// tail is a writer that keeps the last lines written to it.
type tail struct {
	mu      sync.Mutex
	lines   []string // at most max, oldest first
	max     int
	partial []byte // a line without its end so far
}

func newTail(lines int) *tail { return &tail{max: lines} }

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte{'\n'})
		t.partial = append(t.partial, line[:min(len(line), maxLine-len(t.partial))]...)
		if !found {
			return n, nil
		}
		t.lines = append(t.lines, string(bytes.TrimRight(t.partial, "\r")))
		t.lines = t.lines[max(0, len(t.lines)-t.max):]
		t.partial = t.partial[:0]
		p = rest
	}
}

// String returns the kept lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Join(t.lines, "\n")
	if len(t.partial) == 0 {
		return lines
	}
	if lines == "" {
		return string(t.partial)
	}
	return lines + "\n" + string(t.partial)
}
