//go:build unix

package childproc_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/internal/childproc"
)

// envRole makes the test binary play a child.
const envRole = "CHILDPROC_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		os.Exit(play(role))
	}
	goleak.VerifyTestMain(m)
}

// play is what the test binary does as a child.
func play(role string) int {
	switch {
	case role == "echo":
		fmt.Println(strings.Join(os.Args[1:], "\n"))
		fmt.Fprintln(os.Stderr, "to stderr")
		return 0
	case role == "fail":
		fmt.Println("cannot go on")
		return 3
	case role == "wait":
		fmt.Println("waiting")
		select {}
	case role == "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("waiting")
		select {}
	case role == "stdin": // ends with its stdin, as dtm-server does
		fmt.Println("waiting")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	case role == "family": // has a child of its own, in its group
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), envRole+"=wait")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("child", child.Process.Pid)
		select {}
	case role == "orphaner": // leaves a child behind that holds its output open
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), envRole+"=wait")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("child", child.Process.Pid)
		return 0
	case strings.HasPrefix(role, "parent-of-"): // starts a child as users of the package do
		p, err := childproc.Start(childproc.Config{
			Path: os.Args[0], Env: append(os.Environ(), envRole+"="+strings.TrimPrefix(role, "parent-of-")), Output: os.Stdout,
		})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("child", p.PID())
		select {}
	case role == "launcher": // a child whose own child the parent's death signal does not reach
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), envRole+"=stdin")
		child.Stdin, child.Stdout = os.Stdin, os.Stdout
		if err := child.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println("grandchild", child.Process.Pid)
		select {}
	}
	fmt.Println("unknown role", role)
	return 1
}
