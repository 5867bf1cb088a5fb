package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// bound is how long a test waits for something that usually takes less than a second, on a machine that
// does much else, with the race detector.
const bound = 2 * time.Minute

// pollPause is the pause between two looks at something that is waited for.
const pollPause = 10 * time.Millisecond

// command is a tcckit process.
type command struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *buffer // stdout
	log  *buffer // stderr
	done chan struct{}
}

// start runs tcckit in the background; it is killed when the test ends. Variables are NAME=value.
func start(t *testing.T, variables []string, args ...string) *command {
	t.Helper()
	c := &command{t: t, cmd: exec.Command(binary, args...), out: &buffer{}, log: &buffer{}, done: make(chan struct{})}
	// A data race is an exit code that no test takes for success.
	c.cmd.Env = append(cleanEnvironment(), "GORACE=halt_on_error=1")
	c.cmd.Env = append(c.cmd.Env, variables...)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.log
	c.cmd.WaitDelay = bound
	require.NoError(t, c.cmd.Start())
	go func() { defer close(c.done); _ = c.cmd.Wait() }()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.done
		if t.Failed() {
			t.Logf("tcckit %s\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), c.out, c.log)
		}
	})
	return c
}

// cleanEnvironment is this process's without flags of tcckit.
func cleanEnvironment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "TCCKIT_") || strings.HasPrefix(entry, "TCCKIT_DTM_SERVER") {
			env = append(env, entry)
		}
	}
	return env
}

// code waits until the process has ended and returns its exit code, -1 if a signal ended it.
func (c *command) code() int {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(bound):
		require.Fail(c.t, "tcckit does not end")
	}
	return c.cmd.ProcessState.ExitCode()
}

func (c *command) signal(s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

func (c *command) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// addresses are where a process serves.
type addresses struct{ Public, Internal, Admin, Health string }

// serving waits until `serve` says where it serves.
func (c *command) serving() addresses {
	c.t.Helper()
	var a addresses
	c.eventually("it serves", func() bool {
		lines := bufio.NewScanner(strings.NewReader(c.log.String()))
		for lines.Scan() {
			var line struct {
				Msg string
				addresses
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				a = line.addresses
				return true
			}
		}
		return false
	})
	return a
}

// eventually waits until something holds, as long as the process runs.
func (c *command) eventually(what string, holds func() bool) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return holds() || c.ended() }, bound, pollPause, what)
	if !holds() {
		require.Failf(c.t, "tcckit has ended", "before %s", what)
	}
}

// get answers with the status code, 0 if there was none, and the body of an HTTP GET.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: bound}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(body)
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// needsDTM skips what runs a DTM server, in the short tests.
func needsDTM(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a DTM server, which -short leaves out")
	}
}

// takenAddress is an address on which the test listens.
func takenAddress(t *testing.T) string {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l.Addr().String()
}

// listen listens on a free loopback port; the caller closes it.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// isAlive tells whether a process runs; one that only nobody has reaped yet does not.
func isAlive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) // no /proc: alive
	}
	return !strings.HasPrefix(string(stat)[strings.LastIndex(string(stat), ") ")+1:], " Z")
}

// buffer collects what a process writes.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
