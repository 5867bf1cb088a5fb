// Package reload keeps a value that is made of files, such as a certificate, and makes it anew when their
// content changes, without a restart. Nobody has to be told: the files are looked at when the value is asked
// for. A Secret that Kubernetes mounts is replaced by moving a symbolic link, so it is the content that counts.
package reload

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Interval is how often the files are looked at, for Open.
const Interval = 5 * time.Second

// maxSize bounds a file; certificates and password files have a few kilobytes.
const maxSize = 1 << 20

// Value is a value that is made of files. Its methods may be called concurrently.
type Value[T any] struct {
	paths  []string
	parse  func(contents [][]byte) (T, error)
	report func(error)
	every  time.Duration

	mu      sync.Mutex
	current T
	used    [sha256.Size]byte // what the files held of which current was made
	looked  time.Time
	failing string // what the failure was about that was reported last
	failed  int64
}

// Open reads the files and makes the value of their contents, in the order of paths. They are looked at again at
// most once in every. Later failures are given to report, each once; the last good value stays in use meanwhile.
func Open[T any](every time.Duration, parse func(contents [][]byte) (T, error), report func(error), paths ...string) (*Value[T], error) {
	v := &Value[T]{paths: paths, parse: parse, report: report, every: every, looked: time.Now()}
	contents, sum, err := v.read()
	if err != nil {
		return nil, err
	}
	v.used = sum
	v.current, err = parse(contents)
	return v, err
}

// Get returns the value, made anew if the files have changed.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := time.Now(); now.Sub(v.looked) >= v.every {
		v.looked = now
		v.refresh()
	}
	return v.current
}

// Failed is how many looks have found something that cannot be used.
func (v *Value[T]) Failed() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

func (v *Value[T]) refresh() {
	contents, sum, err := v.read()
	if err == nil && sum == v.used {
		v.failing = ""
		return
	}
	var next T
	failing := string(sum[:]) // and not the error's text, which may tell the time
	if err != nil {
		failing = err.Error()
	} else { // also what could not be used before: a certificate may have become valid
		next, err = v.parse(contents)
	}
	if err != nil {
		v.failed++
		if failing != v.failing {
			v.failing = failing
			v.report(fmt.Errorf("%w; what was read before stays in use", err))
		}
		return
	}
	v.failing, v.current, v.used = "", next, sum
}

func (v *Value[T]) read() (contents [][]byte, sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	for _, path := range v.paths {
		content, err := readFile(path)
		if err != nil {
			return nil, sum, err
		}
		contents = append(contents, content)
		fmt.Fprintf(hash, "%d\n%s", len(content), content)
	}
	return contents, [sha256.Size]byte(hash.Sum(nil)), nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxSize {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSize)
	}
	return content, nil
}
