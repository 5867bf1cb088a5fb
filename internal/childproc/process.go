//go:build unix

package childproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	defaultTailLines   = 40
	defaultStopTimeout = 10 * time.Second

	// outputDelay bounds how long the output of a child that has ended is read on, should something it
	// left behind hold it open.
	outputDelay = 2 * time.Second
)

// Config says what to run.
type Config struct {
	// Path is the program's file; Args are its arguments without the program's name.
	Path string
	Args []string
	// Dir is the child's working directory; empty: this process's.
	Dir string
	// Env is the child's whole environment, as of os.Environ; nil: this process's.
	Env []string
	// Output gets all that the child writes to stdout and stderr; nil drops it. Writes to it come one at
	// a time; a slow one holds the child up.
	Output io.Writer
	// TailLines is how many of the last lines are kept for Tail and for errors; 0 means 40.
	TailLines int
	// StopTimeout bounds an orderly stop, after which the child is killed; 0 means 10 s.
	StopTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.TailLines <= 0 {
		c.TailLines = defaultTailLines
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = defaultStopTimeout
	}
	return c
}

// Process is a child that was started. All methods may be called concurrently. Whoever started it must see
// to it that it ends, by Stop or Kill.
type Process struct {
	cfg  Config
	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error // how it ended; set before done is closed

	mu     sync.Mutex
	reaped bool // from here on its process id may be another's
}

// Start starts a child. It does not wait for anything that the child does.
func Start(cfg Config) (*Process, error) {
	cfg = cfg.withDefaults()
	p := &Process{cfg: cfg, tail: newTail(cfg.TailLines), done: make(chan struct{})}
	p.cmd = exec.Command(cfg.Path, cfg.Args...) //nolint:noctx // Stop and Kill end it
	p.cmd.Dir, p.cmd.Env = cfg.Dir, cfg.Env
	var output io.Writer = p.tail
	if cfg.Output != nil {
		output = io.MultiWriter(p.tail, cfg.Output)
	}
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.WaitDelay = outputDelay
	p.cmd.SysProcAttr = sysProcAttr()
	if _, err := p.cmd.StdinPipe(); err != nil { // closed by Wait, or by the system when this process dies
		return nil, fmt.Errorf("start %s: %w", cfg.Path, err)
	}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cfg.Path, err)
	}
	return p, nil
}

// run starts the child and waits for its end on one and the same thread: on Linux the child dies with the
// thread that started it, and the runtime ends threads as it pleases unless a goroutine holds them.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	defer close(p.done)
	if awaitExit(p.cmd.Process.Pid) {
		// It has ended but is not reaped, so its group's id is still its own: the moment to sweep up
		// what it left behind.
		p.mu.Lock()
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		p.reaped = true
		p.mu.Unlock()
	}
	err = p.cmd.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		p.err = &ExitError{Name: filepath.Base(p.cfg.Path), Output: p.Tail(), Err: err}
	}
}

// PID is the child's process id, which is also that of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and all its output has been read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the child ended: nil for exit status 0, otherwise an *ExitError. It is nil, too, as long as
// the child runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Tail returns the last lines of the child's output so far.
func (p *Process) Tail() string { return p.tail.String() }

// Stop sends SIGTERM to the child's process group and waits until the child has ended. If that takes longer
// than Config.StopTimeout, or ctx ends before, it kills the group and returns an error that says so. How
// the child ended otherwise is no error of Stop; see Err. Stopping an ended child does nothing.
func (p *Process) Stop(ctx context.Context) error {
	started := time.Now()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(p.cfg.StopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed; last output:\n%s",
		filepath.Base(p.cfg.Path), time.Since(started).Round(time.Millisecond), p.Tail())
}

// Kill sends SIGKILL to the child's process group and waits until the child has ended.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// signal sends a signal to the child's group, unless the child has ended.
func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", s, filepath.Base(p.cfg.Path), err)
	}
	return nil
}
