//go:build unix

package childproc_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/childproc"
)

// bound is how long a test waits for something that takes milliseconds.
const bound = 20 * time.Second

// start starts the test binary in a role, kills it at the end, and returns what it wrote so far.
func start(t *testing.T, role string, change func(*childproc.Config)) (*childproc.Process, *output) {
	t.Helper()
	out := &output{}
	cfg := childproc.Config{Path: os.Args[0], Env: append(os.Environ(), envRole+"="+role), Output: out}
	if change != nil {
		change(&cfg)
	}
	p, err := childproc.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill()) })
	return p, out
}

func TestOutputAndExit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, out := start(t, "echo", func(c *childproc.Config) { c.Args = []string{"a b", "c"}; c.Dir = dir; c.TailLines = 2 })
	await(t, p)
	require.NoError(t, p.Err())
	require.Equal(t, "a b\nc\nto stderr\n", out.String())
	require.Equal(t, "c\nto stderr", p.Tail())
	require.NoError(t, p.Stop(t.Context()), "stopping what has ended")
	require.NoError(t, p.Kill())
}

func TestExitErrorCarriesOutput(t *testing.T) {
	t.Parallel()
	p, _ := start(t, "fail", nil)
	await(t, p)
	err := p.Err()
	require.ErrorContains(t, err, filepath.Base(os.Args[0])+" ended: exit status 3; last output:\ncannot go on")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 3, exit.ExitCode())
}

func TestStartOfNothing(t *testing.T) {
	t.Parallel()
	_, err := childproc.Start(childproc.Config{Path: filepath.Join(t.TempDir(), "nothing")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStop(t *testing.T) {
	t.Parallel()
	p, out := start(t, "wait", nil)
	out.await(t, "waiting")
	require.NoError(t, p.Err(), "while it runs")
	require.NoError(t, p.Stop(t.Context()))
	await(t, p)
	require.ErrorContains(t, p.Err(), "signal: terminated")
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ctx     func(context.Context) (context.Context, context.CancelFunc)
		timeout time.Duration
	}{
		"after its timeout": {context.WithCancel, 50 * time.Millisecond},
		"when the context ends": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, out := start(t, "stubborn", func(c *childproc.Config) { c.StopTimeout = test.timeout })
			out.await(t, "waiting")
			ctx, cancel := test.ctx(t.Context())
			defer cancel()
			require.ErrorContains(t, p.Stop(ctx), "was killed")
			await(t, p)
			require.ErrorContains(t, p.Err(), "signal: killed")
		})
	}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	p, out := start(t, "family", nil)
	child := out.pid(t, "child")
	require.NoError(t, p.Stop(t.Context()))
	awaitGone(t, child)
}

func TestWhatAChildLeavesBehindIsSweptUp(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lets us look before the child is reaped")
	}
	p, out := start(t, "orphaner", nil)
	await(t, p)
	require.NoError(t, p.Err())
	awaitGone(t, out.pid(t, "child"))
}

func TestConcurrentStopAndKill(t *testing.T) {
	t.Parallel()
	p, out := start(t, "wait", nil)
	out.await(t, "waiting")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _ = p.Stop(t.Context()) })
		wg.Go(func() { _ = p.Kill() })
	}
	wg.Wait()
	await(t, p)
}

// The thread that Start is called on may end; the child must not end with it.
func TestChildOutlivesTheCallersThread(t *testing.T) {
	t.Parallel()
	type result struct {
		p   *childproc.Process
		err error
	}
	results := make(chan result)
	out := &output{}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err := childproc.Start(childproc.Config{Path: os.Args[0], Env: append(os.Environ(), envRole+"=stdin"), Output: out})
		results <- result{p, err}
	}()
	r := <-results
	require.NoError(t, r.err)
	t.Cleanup(func() { require.NoError(t, r.p.Kill()) })
	out.await(t, "waiting")
	for range 50 { // give the runtime reasons to end threads
		runtime.GC()
		runtime.Gosched()
	}
	require.NoError(t, r.p.Err())
	require.NoError(t, syscall.Kill(r.p.PID(), 0))
}

// The parent is a process of its own, which dies by SIGKILL without a chance to clean up.
func TestNoOrphanWhenTheParentIsKilled(t *testing.T) {
	t.Parallel()
	t.Run("by the death signal", func(t *testing.T) {
		t.Parallel()
		if runtime.GOOS != "linux" {
			t.Skip("a Linux feature")
		}
		child := killedParent(t, "parent-of-wait", "child")
		awaitGone(t, child)
	})
	t.Run("by the end of stdin", func(t *testing.T) {
		t.Parallel()
		grandchild := killedParent(t, "parent-of-launcher", "grandchild")
		awaitGone(t, grandchild)
	})
}

// killedParent starts a parent, waits until its descendant reports, kills the parent and returns the
// descendant's process id.
func killedParent(t *testing.T, role, descendant string) int {
	t.Helper()
	out := &output{}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), envRole+"="+role)
	parent.Stdout = out
	parent.WaitDelay = bound
	require.NoError(t, parent.Start())
	waited := false
	t.Cleanup(func() {
		if !waited {
			_ = parent.Process.Kill()
			_ = parent.Wait()
		}
	})
	out.await(t, "waiting")
	pid := out.pid(t, descendant)
	require.NoError(t, syscall.Kill(pid, 0), "it runs before the kill")
	require.NoError(t, parent.Process.Kill())
	waited = true
	require.ErrorContains(t, parent.Wait(), "killed")
	return pid
}

func await(t *testing.T, p *childproc.Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(bound):
		require.Fail(t, "the child runs on")
	}
}

// awaitGone waits until no process of that id runs. One that nobody has reaped yet has ended, too.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(state, "Z")
	}, bound, 10*time.Millisecond, "process %d runs on", pid)
}

// output collects what a child writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) await(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(o.String(), text) }, bound, 5*time.Millisecond,
		"the child never wrote %q", text)
}

// pid waits for a line "name pid" and returns the process id.
func (o *output) pid(t *testing.T, name string) int {
	t.Helper()
	pid := 0
	require.Eventually(t, func() bool {
		for line := range strings.Lines(o.String()) {
			if rest, found := strings.CutPrefix(line, name+" "); found && strings.HasSuffix(rest, "\n") {
				n, err := strconv.Atoi(strings.TrimSpace(rest))
				pid = n
				return err == nil
			}
		}
		return false
	}, bound, 5*time.Millisecond, "the child never wrote the process id of %q", name)
	return pid
}
