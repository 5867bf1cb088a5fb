package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A stamp remembers from which inputs a binary was made.
type stamp struct {
	path string
	out  string
}

func newStamp(work, out string) stamp {
	name := sha256.Sum256([]byte(out))
	return stamp{path: filepath.Join(work, "out-"+hex.EncodeToString(name[:6])+".stamp"), out: out}
}

// fresh tells whether the binary is there, untouched, and was made from the inputs that key stands for.
func (s stamp) fresh(key string) bool {
	recorded, err := os.ReadFile(s.path)
	if err != nil {
		return false
	}
	current, err := s.content(key)
	return err == nil && string(recorded) == current
}

func (s stamp) write(key string) error {
	content, err := s.content(key)
	if err != nil {
		return err
	}
	return writeFile(s.path, []byte(content))
}

func (s stamp) content(key string) (string, error) {
	info, err := os.Stat(s.out)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %d\n", key, info.Size(), info.ModTime().UnixNano()), nil
}

// inputs hashes all that the binary depends on: this module's files, DTM's, the patches (which are in this
// module), the console, the toolchain and the target.
func (b *builder) inputs(ctx context.Context, dtm dtmModule, consoleKey string) (string, error) {
	h := sha256.New()
	env, err := b.goTool.env(ctx, "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%q %q %q %q %t\n", env, dtm.Version, dtm.Sum, consoleKey, b.stock)
	root := b.goTool.dir
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); path != root && (strings.HasPrefix(name, ".") || name == "console") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".md") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %x\n", filepath.ToSlash(strings.TrimPrefix(path, root)), sha256.Sum256(content))
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}
