package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const modulePath = "github.com/tcckit/tcckit/cmd/dtm-server"

// versionSuffix tells the patched server, and its console, from DTM's own.
const versionSuffix = "+tcckit"

// A builder makes one binary.
type builder struct {
	out     string // absolute path of the binary
	stock   bool
	console consoleMode
	force   bool
	goTool  goTool
	log     io.Writer
}

func (b *builder) build(ctx context.Context) error {
	if err := b.findModule(ctx); err != nil {
		return err
	}
	work := filepath.Join(b.goTool.dir, ".build")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	dtm, err := b.goTool.download(ctx)
	if err != nil {
		return err
	}
	c := consoleBuilder{
		module: dtm, replacements: consoleReplacements(), work: work, dest: filepath.Join(b.goTool.dir, "console"), log: b.log,
	}
	consoleKey, err := c.ensure(ctx, b.console)
	if err != nil || b.console == consoleOnly {
		return err
	}
	key, err := b.inputs(ctx, dtm, consoleKey)
	if err != nil {
		return err
	}
	mark := newStamp(work, b.out)
	if !b.force && mark.fresh(key) {
		fmt.Fprintf(b.log, "%s is up to date\n", b.out)
		return nil
	}
	started := time.Now()
	if err := b.compile(ctx, dtm, work, consoleKey != ""); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "built %s in %s\n", b.out, time.Since(started).Round(100*time.Millisecond))
	return mark.write(key)
}

// findModule sets the folder of the nested module, in which the program must be started.
func (b *builder) findModule(ctx context.Context) error {
	values, err := b.goTool.env(ctx, "GOMOD")
	if err != nil {
		return err
	}
	content, err := os.ReadFile(values[0])
	if err != nil || !strings.HasPrefix(string(content), "module "+modulePath+"\n") {
		return errors.New("start it in the module's folder: go run -C cmd/dtm-server ./build")
	}
	b.goTool.dir = filepath.Dir(values[0])
	return nil
}

func (b *builder) compile(ctx context.Context, dtm dtmModule, work string, console bool) error {
	version := dtm.Version
	args := []string{"build", "-trimpath", "-buildvcs=false"}
	if !b.stock {
		tree, err := patchedTree(work, dtm)
		if err != nil {
			return err
		}
		modfile, err := replaceModfile(b.goTool.dir, tree)
		if err != nil {
			return err
		}
		args = append(args, "-modfile="+modfile)
		version += versionSuffix
	}
	if console {
		args = append(args, "-tags=console")
	}
	if err := os.MkdirAll(filepath.Dir(b.out), 0o755); err != nil {
		return err
	}
	// Written beside the target and renamed, so that a running server keeps its file and nobody ever
	// starts half a binary.
	temp := fmt.Sprintf("%s.%d.tmp", b.out, os.Getpid())
	defer func() { _ = os.Remove(temp) }()
	args = append(args, "-ldflags=-s -w -X main.version="+version, "-o", temp, ".")
	fmt.Fprintf(b.log, "building %s (the first time takes a minute or two)\n", b.out)
	if _, err := b.goTool.output(ctx, args...); err != nil {
		return err
	}
	return os.Rename(temp, b.out)
}
