//go:build unix

package background

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/tcckit/tcckit/internal/stack"
)

// stopTimeout bounds the end of all processes.
const stopTimeout = 40 * time.Second

// Keep runs the shop of cfg.Dir in this process's children, starting again what ends by itself, until ctx
// ends. It returns ErrRunning if another process does so already.
func Keep(ctx context.Context, cfg stack.Config, log *slog.Logger) (err error) {
	l, err := acquire(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	s, err := stack.New(ctx, cfg)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, s.Stop(ctx))
	}()
	state := State{PID: os.Getpid(), Services: make(map[string]stack.Addresses), DTM: s.DTM(), RocketMQ: s.RocketMQ()}
	for _, name := range stack.Services() {
		state.Services[name] = s.Service(name).Addresses
	}
	if err := writeState(cfg.Dir, state); err != nil {
		return err
	}
	defer func() {
		if removeErr := os.Remove(statePath(cfg.Dir)); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("background: %w", removeErr))
		}
	}()
	log.InfoContext(ctx, "running", "dir", cfg.Dir)
	s.Supervise(ctx, log)
	log.InfoContext(ctx, "ending")
	return nil
}
