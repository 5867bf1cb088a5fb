package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// The client keeps its log and what it does with a panic in variables of the
// process, which must be set before its first goroutine runs.
//
//nolint:gochecknoglobals // they are the process's, as the client has it
var (
	process    sync.Once
	processLog clientLog
)

// takeOver has the client log to log, and keeps a panic in one of the client's
// goroutines from ending the process.
func takeOver(log *slog.Logger) {
	processLog.to.Store(log)
	process.Do(func() {
		rlog.SetLogger(&processLog)
		primitive.PanicHandler = func(v any) {
			processLog.write(slog.LevelError, "a goroutine of the client panicked", map[string]any{
				"panic": fmt.Sprint(v), "stack": string(debug.Stack()),
			})
		}
	})
}

// clientLog is the client's log. The client calls nearly everything worth a
// warning, and its Fatal would end the process.
type clientLog struct{ to atomic.Pointer[slog.Logger] }

var _ rlog.Logger = (*clientLog)(nil)

// Debug is dropped: the client says something for each pull.
func (l *clientLog) Debug(string, map[string]any) {}

// Info goes to debug.
func (l *clientLog) Info(msg string, fields map[string]any) { l.write(slog.LevelDebug, msg, fields) }

// Warning goes to debug too: what matters of it comes back as an error.
func (l *clientLog) Warning(msg string, fields map[string]any) { l.write(slog.LevelDebug, msg, fields) }

// Error goes to info: that a broker is away is said at each attempt.
func (l *clientLog) Error(msg string, fields map[string]any) { l.write(slog.LevelInfo, msg, fields) }

// Fatal goes to error, and does not end the process.
func (l *clientLog) Fatal(msg string, fields map[string]any) { l.write(slog.LevelError, msg, fields) }

// Level is the Logger's business.
func (l *clientLog) Level(string) {}

// OutputPath is the Logger's business.
func (l *clientLog) OutputPath(string) error { return nil }

func (l *clientLog) write(level slog.Level, msg string, fields map[string]any) {
	log, ctx := l.to.Load(), context.Background()
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(fields))
	for k, v := range fields {
		if k == rlog.LogKeyMessages || k == "message" { // whole messages, with what is in them
			continue
		}
		attrs = append(attrs, slog.String(k, fmt.Sprint(v)))
	}
	log.LogAttrs(ctx, level, "rocketmq: client: "+msg, attrs...)
}
