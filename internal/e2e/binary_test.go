package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// envBinary names the variable with the path of the tcckit to test; without it TestMain builds one.
const envBinary = "TCCKIT_BINARY"

// tcckit is the path of the tcckit under test.
var tcckit string

// build finds or builds tcckit, with the race detector if this test has it.
func build() (remove func(), err error) {
	if tcckit = os.Getenv(envBinary); tcckit != "" {
		if _, err := os.Stat(tcckit); err != nil {
			return nil, fmt.Errorf("%s: %w", envBinary, err)
		}
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "tcckit-e2e-bin-")
	if err != nil {
		return nil, err
	}
	tcckit = filepath.Join(dir, "tcckit")
	args := []string{"build", "-o", tcckit}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/tcckit/tcckit/cmd/tcckit")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("building tcckit: %w\n%s", err, out)
	}
	return func() { _ = os.RemoveAll(dir) }, nil
}

// children lists the processes that this one has started and that still run. It sees none where there is
// no /proc.
func children() []string {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var found []string
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// pid (name) state ppid ...; the name may have spaces and brackets.
		head, tail, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(tail)
		if len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, head+")")
		}
	}
	return found
}
