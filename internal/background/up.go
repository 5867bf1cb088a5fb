//go:build unix

package background

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// pause is the pause between two looks at what another process does.
const pause = 20 * time.Millisecond

// Command is the command line, and the whole environment, of a process that calls Keep.
type Command struct {
	Program   string
	Args, Env []string
}

// Up has the shop of a folder run in the background, by a process that calls Keep. It returns when all of it
// takes work; started is false if it ran already.
func Up(ctx context.Context, dir string, command Command) (s State, started bool, err error) {
	pid, err := holder(dir)
	if err != nil {
		return State{}, false, err
	}
	if pid != 0 {
		s, err = awaitState(ctx, dir, pid)
		return s, false, err
	}
	ended, err := spawn(dir, command)
	if err != nil {
		return State{}, false, err
	}
	while, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the process, or with this one
		cancel(<-ended)
	}()
	if s, err = awaitState(while, dir, 0); err == nil {
		return s, true, nil
	}
	// It may have ended because another one, started at the same time, was first.
	if pid, holderErr := holder(dir); ctx.Err() == nil && holderErr == nil && pid != 0 {
		s, err = awaitState(ctx, dir, pid)
	}
	return s, false, err
}

// spawn starts a process in a session of its own, so that it outlives the shell. The channel tells how it
// ended.
func spawn(dir string, command Command) (<-chan error, error) {
	path := LogPath(dir)
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("background: %w", err)
	}
	begin, err := log.Seek(0, 2)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("background: %w", err), log.Close())
	}
	cmd := exec.Command(command.Program, command.Args...) //nolint:noctx // it is to outlive this process
	cmd.Env, cmd.Stdout, cmd.Stderr = command.Env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	closeErr := log.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("background: start %s: %w", command.Program, err), closeErr)
	}
	ended := make(chan error, 1)
	go func() {
		_ = cmd.Wait() // the state says more
		ended <- fmt.Errorf("it ended while it was starting (%s): %s", cmd.ProcessState, logFrom(path, begin))
	}()
	return ended, nil
}

// LogPath is where the process in the background writes its log.
func LogPath(dir string) string { return filepath.Join(dir, "up.log") }

// logFrom reads the log from an offset on, for messages.
func logFrom(path string, offset int64) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 4000
	text = text[min(offset, int64(len(text))):]
	return string(text[max(0, len(text)-most):])
}

// awaitState waits until whoever holds the lock says that everything runs. If known is not 0, it is who held
// it before, and that nobody does any more is an error.
func awaitState(ctx context.Context, dir string, known int) (State, error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		s, ready, err := look(dir)
		if err != nil || ready {
			return s, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return State{}, fmt.Errorf("background: %w", context.Cause(ctx))
		}
		if pid, err := holder(dir); known != 0 && (pid == 0 || err != nil) {
			return State{}, errors.Join(fmt.Errorf("background: process %d ended while it was starting, see %s", known, LogPath(dir)), err)
		}
	}
}

// look returns the state, if who holds the lock has written one.
func look(dir string) (State, bool, error) {
	pid, err := holder(dir)
	if err != nil || pid == 0 {
		return State{}, false, err
	}
	return readState(dir, pid)
}
