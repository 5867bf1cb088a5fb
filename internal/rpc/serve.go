package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Binding is a server with its listener.
type Binding struct {
	Server   *Server
	Listener net.Listener
}

// ErrDrain says that calls were cut off because they did not end within the
// time given for draining.
var ErrDrain = errors.New("rpc: calls were still running when the time for draining was over, and were cut off")

// Serve serves all bindings until ctx ends or one of them fails. It then
// answers health checks with NOT_SERVING, refuses new calls, waits for those
// that run for at most the time given, and cuts off the rest. It closes the
// listeners. A server is served once.
//
// It returns nil after an orderly end, an error that wraps [ErrDrain] if calls
// were cut off, or what failed.
func Serve(ctx context.Context, drain time.Duration, bindings ...Binding) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	failures := make(chan error, len(bindings))
	for _, b := range bindings {
		running.Go(func() {
			if err := b.Server.serve(b.Listener); err != nil {
				failures <- fmt.Errorf("rpc: serve %s: %w", b.Listener.Addr(), err)
			}
			stop(nil)
		})
	}
	<-ctx.Done()
	err := drainAll(drain, bindings)
	running.Wait()
	close(failures)
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return err
}

func drainAll(patience time.Duration, bindings []Binding) error {
	// The caller's context has ended.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, b := range bindings {
		b.Server.Unhealthy()
	}
	clean := make([]bool, len(bindings))
	var draining sync.WaitGroup
	for i, b := range bindings {
		draining.Go(func() { clean[i] = b.Server.drain(ctx) })
	}
	draining.Wait()
	for _, c := range clean {
		if !c {
			return ErrDrain
		}
	}
	return nil
}
