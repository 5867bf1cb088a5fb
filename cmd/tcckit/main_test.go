package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// envBinary names the variable with the path of the tcckit to test; without it TestMain builds one.
const envBinary = "TCCKIT_BINARY"

// binary is the path of the tcckit under test.
var binary string

func TestMain(m *testing.M) {
	remove, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	remove()
	os.Exit(code)
}

// build finds or builds tcckit, with the race detector if this test has it.
func build() (remove func(), err error) {
	if binary = os.Getenv(envBinary); binary != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "tcckit-test-bin-")
	if err != nil {
		return nil, err
	}
	binary = filepath.Join(dir, "tcckit")
	args := []string{"build", "-o", binary}
	if raceDetector {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building tcckit: %w\n%s", err, out)
	}
	return func() { _ = os.RemoveAll(dir) }, nil
}
