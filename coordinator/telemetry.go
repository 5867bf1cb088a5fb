package coordinator

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/tcckit/tcckit/coordinator"

// outcome is what became of a transaction, as its initiator knows it.
type outcome string

const (
	committed   outcome = "committed"
	rejected    outcome = "rejected"
	aborted     outcome = "aborted"
	unknown     outcome = "unknown"
	unavailable outcome = "unavailable"
)

type telemetry struct {
	duration metric.Float64Histogram
	tracer   trace.Tracer
}

func newTelemetry(mp metric.MeterProvider, tp trace.TracerProvider) (*telemetry, error) {
	h, err := mp.Meter(scope).Float64Histogram("tcckit.transaction.duration",
		metric.WithUnit("s"),
		metric.WithDescription("Time from the begin of a global transaction to its outcome at the initiator; its count is the number of transactions."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	if err != nil {
		return nil, err
	}
	return &telemetry{duration: h, tracer: tp.Tracer(scope)}, nil
}

// start begins the span of a transaction.
func (t *telemetry) start(ctx context.Context, gid string) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, "tcckit.transaction", trace.WithAttributes(attribute.String("tcckit.gid", gid)))
}

// end records the outcome and ends the span.
func (t *telemetry) end(ctx context.Context, span trace.Span, began time.Time, o outcome, err error) {
	t.duration.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attribute.String("outcome", string(o))))
	span.SetAttributes(attribute.String("tcckit.outcome", string(o)))
	// A rejection is an answer, not a fault.
	if err != nil && o != rejected {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
