//go:build unix

package background

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// downTimeout bounds an orderly end, after which the process is killed, and with it its children.
const downTimeout = stopTimeout + 5*time.Second

// Down ends the shop of a folder and returns when nothing of it is left. It reports false if it did not run.
func Down(ctx context.Context, dir string) (ended bool, err error) {
	pid, err := holder(dir)
	if err != nil || pid == 0 {
		return false, err
	}
	orderly, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := end(orderly, dir, syscall.SIGTERM); err == nil {
		return true, nil
	} else if ctx.Err() != nil {
		return false, err
	}
	forced, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := end(forced, dir, syscall.SIGKILL); err != nil {
		return false, err
	}
	return true, errors.New("background: it did not end in an orderly way and was killed")
}

// end sends a signal to who holds the lock, once, and waits until nobody does.
func end(ctx context.Context, dir string, signal syscall.Signal) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	sent := false
	for {
		pid, err := holder(dir)
		if err != nil || pid == 0 {
			return err
		}
		if !sent {
			if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("background: process %d: %w", pid, err)
			}
			sent = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("background: process %d does not end: %w", pid, ctx.Err())
		case <-tick.C:
		}
	}
}
