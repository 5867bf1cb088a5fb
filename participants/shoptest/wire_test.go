package shoptest

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wire is what a replica's calls go through, and where tests make the network
// fail.
type wire struct {
	mu    sync.Mutex
	hooks map[string][]hook // by full method
	dead  bool
}

// hook does something about one call; send sends it.
type hook func(ctx context.Context, send func() error) error

func newWire() *wire { return &wire{hooks: make(map[string][]hook)} }

// on lets h handle the next call of a method that no earlier hook handles.
func (w *wire) on(method string, h hook) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hooks[method] = append(w.hooks[method], h)
}

// kill makes every call fail from now on.
func (w *wire) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
}

// unused counts the hooks that no call has met.
func (w *wire) unused() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hooks {
		n += len(h)
	}
	return n
}

func (w *wire) take(method string) (h hook, dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if list := w.hooks[method]; len(list) > 0 && !w.dead {
		h, w.hooks[method] = list[0], list[1:]
	}
	return h, w.dead
}

var errLost = status.Error(codes.Unavailable, "lost by the test")

func (w *wire) intercept(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	h, dead := w.take(method)
	switch {
	case dead:
		return errLost
	case h == nil:
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	return h(ctx, func() error { return invoke(ctx, method, req, reply, cc, opts...) })
}

// pass sends the call as it is.
func pass(_ context.Context, send func() error) error { return send() }

// loseRequest sends nothing.
func loseRequest(context.Context, func() error) error { return errLost }

// loseAnswer sends the call and loses what it answers.
func loseAnswer(_ context.Context, send func() error) error {
	_ = send()
	return errLost
}

// first does something and then sends the call.
func first(do func()) hook {
	return func(_ context.Context, send func() error) error {
		do()
		return send()
	}
}
