//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// asMain makes the test program behave as the command.
const asMain = "TCCKIT_WITHSERVERS_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program runs the command under test. Its output ends when the last process that it started has ended.
type program struct {
	*exec.Cmd
	out *bufio.Reader
	err string // the file that its messages go to
}

// messages returns what the program said so far.
func (p *program) messages(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(p.err)
	require.NoError(t, err)
	return string(content)
}

func startProgram(t *testing.T, environ []string, args ...string) *program {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	self, err := os.Executable()
	require.NoError(t, err)
	p := &program{Cmd: exec.Command(self, args...), out: bufio.NewReader(r), err: filepath.Join(t.TempDir(), "messages")}
	messages, err := os.Create(p.err)
	require.NoError(t, err)
	p.Env = append(os.Environ(), asMain+"=1", testserver.EnvRedis+"=", "TMPDIR="+t.TempDir())
	p.Env = append(p.Env, environ...)
	p.Stdout, p.Stderr = w, messages
	require.NoError(t, p.Start())
	require.NoError(t, w.Close())
	require.NoError(t, messages.Close())
	require.NoError(t, r.SetReadDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// end waits for the program's end and returns its status.
func (p *program) end(t *testing.T) int {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}

func (p *program) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(t, err, "the program said %q", p.messages(t))
	return strings.TrimSpace(line)
}

// requireEnded reads what is left until no process holds the output any more.
func (p *program) requireEnded(t *testing.T) {
	t.Helper()
	_, err := io.Copy(io.Discard, p.out)
	require.NoError(t, err, "a process that the command started still runs")
}

// requireGone asserts that nothing listens on addr soon.
func requireGone(t *testing.T, addr string) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}, 30*time.Second, 10*time.Millisecond, "the server at %s still runs", addr)
}

func needServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a real server, which -short leaves out")
	}
}

func TestCommandGetsServersAndItsStatusIsReturned(t *testing.T) {
	t.Parallel()
	needServers(t)
	p := startProgram(t, nil, "-servers", "redis", "--", "sh", "-c", "echo $TCCKIT_TEST_REDIS; exit 7")
	addr := p.line(t)
	require.Contains(t, addr, "127.0.0.1:")
	require.Equal(t, 7, p.end(t), p.messages(t))
	requireGone(t, addr)
}

func TestRocketMQEndsWithTheCommand(t *testing.T) {
	t.Parallel()
	needServers(t)
	p := startProgram(t, []string{testserver.EnvRocketMQ + "="}, "-servers", "rocketmq", "--", "sh", "-c", "echo $TCCKIT_TEST_ROCKETMQ")
	addr := p.line(t)
	require.Equal(t, 0, p.end(t), p.messages(t))
	requireGone(t, addr)
}

func TestAddressInTheEnvironmentIsUsed(t *testing.T) {
	t.Parallel()
	p := startProgram(t, []string{testserver.EnvRedis + "=elsewhere:1"},
		"-servers", "redis", "--", "sh", "-c", "echo $TCCKIT_TEST_REDIS")
	require.Equal(t, "elsewhere:1", p.line(t))
	require.Equal(t, 0, p.end(t))
}

func TestSignalGoesToTheCommand(t *testing.T) {
	t.Parallel()
	needServers(t)
	p := startProgram(t, nil, "-servers", "redis", "--", "sh", "-c",
		`trap 'echo ending; kill $!; exit 3' TERM; sleep 600 & echo $TCCKIT_TEST_REDIS; wait`)
	addr := p.line(t)
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "ending", p.line(t))
	require.Equal(t, 3, p.end(t))
	p.requireEnded(t)
	requireGone(t, addr)
}

func TestSecondSignalKillsACommandThatStays(t *testing.T) {
	t.Parallel()
	needServers(t)
	p := startProgram(t, nil, "-servers", "redis", "--", "sh", "-c",
		`trap 'echo not me' INT; echo $TCCKIT_TEST_REDIS; while :; do sleep 600 & wait $!; done`)
	addr := p.line(t)
	require.NoError(t, p.Process.Signal(syscall.SIGINT))
	require.Equal(t, "not me", p.line(t))
	require.NoError(t, p.Process.Signal(syscall.SIGINT))
	require.Equal(t, 128+int(syscall.SIGKILL), p.end(t))
	p.requireEnded(t)
	requireGone(t, addr)
}

func TestNothingOutlivesTheCommand(t *testing.T) {
	t.Parallel()
	p := startProgram(t, []string{testserver.EnvRedis + "=x"}, "-servers", "redis", "--", "sh", "-c",
		`sh -c 'trap "" INT TERM; sleep 600; :' & exit 5`)
	require.Equal(t, 5, p.end(t))
	p.requireEnded(t)
}

func TestNothingOutlivesAKill(t *testing.T) {
	t.Parallel()
	needServers(t)
	// A grandchild that no death signal of its parent would reach, as a test program of go test is.
	p := startProgram(t, nil, "-servers", "redis", "--", "sh", "-c",
		`sh -c 'trap "" INT TERM; sleep 600; :' & echo $TCCKIT_TEST_REDIS; wait`)
	addr := p.line(t)
	require.NoError(t, p.Process.Kill())
	p.requireEnded(t)
	requireGone(t, addr)
}

func TestWrongUseIsExplained(t *testing.T) {
	t.Parallel()
	for message, args := range map[string][]string{
		"no command given":       {"-servers", "redis"},
		`"oracle" is none of`:    {"-servers", "mysql,oracle", "--", "true"},
		"flag provided but not ": {"-no-such"},
	} {
		p := startProgram(t, nil, args...)
		require.Equal(t, 2, p.end(t))
		require.Contains(t, p.messages(t), message)
	}
	p := startProgram(t, []string{testserver.EnvRedis + "=x"}, "-servers", "redis", "--", "/no/such/program")
	require.Equal(t, 127, p.end(t))
	require.Contains(t, p.messages(t), "/no/such/program")
}
