package tcc

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/tcckit/tcckit/tcc"

// telemetry records what became of the branches of one server.
type telemetry struct {
	duration metric.Float64Histogram
}

func newTelemetry(mp metric.MeterProvider) (*telemetry, error) {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	h, err := mp.Meter(scope).Float64Histogram("tcckit.branch.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Time that a participant took for one delivery of a branch; its count is the number of deliveries."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	if err != nil {
		return nil, err
	}
	return &telemetry{duration: h}, nil
}

func (t *telemetry) record(ctx context.Context, service, action string, phase Phase, o Outcome, took time.Duration) {
	attrs := []attribute.KeyValue{
		attribute.String("service", service),
		attribute.String("action", action),
		attribute.String("phase", phase.String()),
		attribute.String("outcome", string(o)),
	}
	t.duration.Record(ctx, took.Seconds(), metric.WithAttributes(attrs...))
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("tcckit.outcome", string(o)))
}

func annotate(ctx context.Context, b Branch) {
	trace.SpanFromContext(ctx).SetAttributes(
		attribute.String("tcckit.gid", b.GID),
		attribute.String("tcckit.branch_id", b.ID),
		attribute.String("tcckit.phase", b.Phase.String()),
	)
}
