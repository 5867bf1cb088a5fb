package e2e_test

import (
	"context"
	"testing"
	"time"
)

// eventually polls until ready returns nil, and fails the test with its last error otherwise.
func eventually(t testing.TB, what string, ready func(context.Context) error) {
	t.Helper()
	eventuallyWithin(t, bound, what, ready)
}

// eventuallyWithin is eventually with a bound of its own.
func eventuallyWithin(t testing.TB, bound time.Duration, what string, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		// The look that the end of ctx cuts off says nothing.
		if err := ready(ctx); err == nil {
			return
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waiting until %s: not so within %s: %v", what, bound, last)
		}
	}
}

// bounded is the test's context with the bound of every wait.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}
