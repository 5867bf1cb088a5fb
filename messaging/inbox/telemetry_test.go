package inbox_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// TestMetrics handles messages with each outcome and looks at what is counted.
func TestMetrics(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	reader := sdkmetric.NewManualReader()
	release := make(chan struct{})
	began := make(chan struct{})
	cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
		switch msg.UUID {
		case "parked":
			return nil, errors.New("no")
		case "dead":
			return nil, messaging.Permanent(errors.New("no"))
		case "slow":
			close(began)
			<-release
		}
		return effect(msg.UUID), nil
	})
	cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	cfg.Backoff = inbox.Backoff{Min: 1 << 40, Max: 1 << 40}
	cfg.DeadLetters = new(letters)
	box := g.open(cfg)
	v7 := uuid.Must(uuid.NewV7()).String()
	for _, id := range []string{v7, v7, "parked", "dead"} {
		require.NoError(t, box.Handle(newMessage(id)))
	}
	run(t, box)
	g.awaitState("dead", inbox.Dead)
	var handling sync.WaitGroup
	handling.Go(func() { _ = box.Handle(newMessage("slow")) })
	<-began
	metrics := collect(t, reader)
	close(release)
	handling.Wait()

	runs := make(map[string]uint64)
	for _, p := range metrics["tcckit.inbox.duration"].(metricdata.Histogram[float64]).DataPoints {
		outcome, _ := p.Attributes.Value("outcome")
		runs[outcome.AsString()] = p.Count
		consumer, _ := p.Attributes.Value(attribute.Key("consumer"))
		require.Equal(t, "test", consumer.AsString())
	}
	require.Equal(t, map[string]uint64{"done": 1, "duplicate": 1, "parked": 1, "dead": 1}, runs)
	require.EqualValues(t, 1, metrics["tcckit.inbox.lag"].(metricdata.Histogram[float64]).DataPoints[0].Count)
	require.EqualValues(t, 2, metrics["tcckit.inbox.tries"].(metricdata.Histogram[int64]).DataPoints[0].Count)
	require.EqualValues(t, 1, metrics["tcckit.inbox.parked"].(metricdata.Gauge[int64]).DataPoints[0].Value)
	require.EqualValues(t, 1, metrics["tcckit.inbox.dead"].(metricdata.Gauge[int64]).DataPoints[0].Value)
	require.EqualValues(t, 1, metrics["tcckit.inbox.dead_letters"].(metricdata.Sum[int64]).DataPoints[0].Value)
	require.EqualValues(t, 1, metrics["tcckit.inbox.running"].(metricdata.Gauge[int64]).DataPoints[0].Value)
	require.Positive(t, metrics["tcckit.inbox.running.oldest.age"].(metricdata.Gauge[float64]).DataPoints[0].Value)
}

func collect(t *testing.T, reader *sdkmetric.ManualReader) map[string]metricdata.Aggregation {
	t.Helper()
	found := make(map[string]metricdata.Aggregation)
	eventually(t, "the rows to be counted", func() bool {
		var data metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &data))
		for _, s := range data.ScopeMetrics {
			for _, m := range s.Metrics {
				found[m.Name] = m.Data
			}
		}
		return found["tcckit.inbox.parked"] != nil && found["tcckit.inbox.dead_letters"] != nil
	})
	return found
}

// TestTrace shows that a handler works in the trace of who published, also when
// it is tried again.
func TestTrace(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	sent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: trace.FlagsSampled})
	var mu sync.Mutex
	var seen []trace.TraceID
	cfg := g.config(func(ctx context.Context, msg *message.Message) (inbox.Work, error) {
		mu.Lock()
		defer mu.Unlock()
		if seen = append(seen, trace.SpanContextFromContext(ctx).TraceID()); len(seen) == 1 {
			return nil, errors.New("not yet")
		}
		return effect(msg.UUID), nil
	})
	cfg.Propagator = propagation.TraceContext{}
	box := g.open(cfg)
	msg := newMessage("a")
	cfg.Propagator.Inject(trace.ContextWithSpanContext(t.Context(), sent), propagation.MapCarrier(msg.Metadata))
	require.NoError(t, box.Handle(msg))
	run(t, box)
	g.awaitState("a", inbox.Done)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []trace.TraceID{sent.TraceID(), sent.TraceID()}, seen)
}

// TestStackStaysInTheLog shows where the stack of a panic goes.
func TestStackStaysInTheLog(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	var log bytes.Buffer
	cfg := g.config(func(context.Context, *message.Message) (inbox.Work, error) { panic("here") })
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	require.NoError(t, g.open(cfg).Handle(newMessage("a")))
	require.Equal(t, "panic: here", g.row("a").LastError)
	require.Contains(t, log.String(), "telemetry_test.go")
	require.Contains(t, log.String(), "consumer=test")
}
