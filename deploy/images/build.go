package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
)

// build builds a program for linux on an architecture and returns the path of its file.
func build(ctx context.Context, root, work string, p program, r release, arch string) (string, error) {
	out, err := filepath.Abs(filepath.Join(work, p.name+"-"+arch))
	if err != nil {
		return "", err
	}
	if p.name == "dtm-server" {
		// A module of its own, built from a patched copy of DTM; its build leaves alone what is up to date.
		_, err = output(ctx, root, nil, "go", "run", "-C", "cmd/dtm-server", "./build", "-console=on", "-goos=linux", "-goarch="+arch, "-o", out)
		return out, err
	}
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch}
	_, err = output(ctx, root, env, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.release="+r.version, "-o", out, "./cmd/"+p.name)
	return out, err
}

// checkArchitectures wants what an image of this program can be for.
func checkArchitectures(archs []string) error {
	for _, arch := range archs {
		if arch != "amd64" && arch != "arm64" {
			return fmt.Errorf("architecture %q: want amd64 or arm64", arch)
		}
	}
	if len(archs) == 0 {
		return fmt.Errorf("no architecture is named: want amd64 or arm64, as this machine has %s", runtime.GOARCH)
	}
	return nil
}
