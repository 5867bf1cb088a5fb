package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load are clients that do one thing after another until it ends, and stop at their first error.
type load struct {
	stop  context.CancelFunc
	tasks sync.WaitGroup
	ended chan error   // why a client has stopped
	done  atomic.Int64 // things
}

// startLoad starts clients. What client makes does the n-th thing of one; a thing that is begun is done to its end.
// pause is the least time between two things of a client: what a test does not need others can use.
func startLoad(t *testing.T, clients int, pause time.Duration, client func(i int) func(ctx context.Context, n int) error) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	l := &load{stop: cancel, ended: make(chan error, clients)}
	for i := range clients {
		do := client(i)
		l.tasks.Go(func() {
			pace := time.NewTicker(max(pause, time.Nanosecond))
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-pace.C
				if err := do(context.WithoutCancel(ctx), n); err != nil {
					l.ended <- fmt.Errorf("client %d, %d: %w", i, n, err)
					return
				}
				l.done.Add(1)
			}
		})
	}
	return l
}

// progress waits until n more things are done, and no client has stopped.
func (l *load) progress(t *testing.T, n int64) {
	t.Helper()
	from := l.done.Load()
	eventually(t, "the clients go on", func(context.Context) error {
		select {
		case err := <-l.ended:
			t.Fatalf("a client has stopped: %v", err)
		default:
		}
		if now := l.done.Load(); now < from+n {
			return fmt.Errorf("%d of %d", now-from, n)
		}
		return nil
	})
}

// end ends the clients; none may have stopped before.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.tasks.Wait()
	close(l.ended)
	for err := range l.ended {
		require.NoError(t, err)
	}
}
