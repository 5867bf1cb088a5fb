package stack

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// restartPause is the pause before a process that ended by itself is started again.
const restartPause = time.Second

// Supervise starts again what ends by itself, until ctx ends. It is called after Start; Stop must wait
// until it has returned.
func (s *Stack) Supervise(ctx context.Context, log *slog.Logger) {
	var all sync.WaitGroup
	for _, name := range Services() {
		service := s.services[name]
		all.Go(func() {
			supervise(ctx, log.With("process", service.Name),
				func() <-chan struct{} { return service.current().Done() }, service.Start)
		})
	}
	if s.dtm != nil {
		all.Go(func() { supervise(ctx, log.With("process", "dtm-server"), s.dtm.Done, s.dtm.Restart) })
	}
	if s.broker != nil {
		all.Go(func() { s.broker.supervise(ctx, log) })
	}
	all.Wait()
}

func supervise(ctx context.Context, log *slog.Logger, done func() <-chan struct{}, start func(context.Context) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-done():
		}
		log.WarnContext(ctx, "process ended, starting it again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartPause):
		}
		if err := start(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "process does not start", "error", err)
		}
	}
}
