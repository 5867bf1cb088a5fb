package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// guard turns a panic of f into an error. The stack is in the log alone.
func guard(ctx context.Context, log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "inbox: panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
