package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/tcckit/tcckit/internal/observe"
)

func TestLoggerWritesJSONToWhatIsNoTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := observe.NewLogger(&out, slog.LevelInfo, observe.Auto)
	log.Debug("not this")
	log.With("service", "order").Info("this")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "this", line["msg"])
	require.Equal(t, "order", line["service"])
	require.NotContains(t, line, "trace_id")
}

func TestLoggerNamesTheTrace(t *testing.T) {
	t.Parallel()
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	})
	var out bytes.Buffer
	observe.NewLogger(&out, slog.LevelInfo, observe.Text).
		InfoContext(trace.ContextWithSpanContext(context.Background(), sc), "this")
	require.Contains(t, out.String(), "trace_id=01000000000000000000000000000000")
	require.Contains(t, out.String(), "span_id=0200000000000000")
}

func TestParse(t *testing.T) {
	t.Parallel()
	level, err := observe.ParseLevel("WARN")
	require.NoError(t, err)
	require.Equal(t, slog.LevelWarn, level)
	_, err = observe.ParseLevel("loud")
	require.ErrorContains(t, err, `"loud"`)
	_, err = observe.ParseFormat("xml")
	require.ErrorContains(t, err, `"xml"`)
}
