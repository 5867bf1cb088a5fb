package barrier

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// sweepTelemetry is what a sweeper counts and measures.
type sweepTelemetry struct {
	with     metric.MeasurementOption
	scanned  metric.Int64Counter
	deleted  metric.Int64Counter
	duration metric.Float64Histogram
	oldest   metric.Float64Gauge
}

func newSweepTelemetry(mp metric.MeterProvider, participant string) (*sweepTelemetry, error) {
	m := mp.Meter(scope)
	t := &sweepTelemetry{with: metric.WithAttributes(participantAttribute(participant)...)}
	var errs [4]error
	t.scanned, errs[0] = m.Int64Counter("tcckit.barrier.sweep.scanned",
		metric.WithDescription("Barrier rows that sweeps have looked at."))
	t.deleted, errs[1] = m.Int64Counter("tcckit.barrier.sweep.deleted",
		metric.WithDescription("Barrier rows that sweeps have deleted."))
	t.duration, errs[2] = m.Float64Histogram("tcckit.barrier.sweep.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one sweep from beginning to end; its count is the number of sweeps that came to the end."),
		metric.WithExplicitBucketBoundaries(.01, .1, 1, 10, 60, 600, 3600, 6*3600, 24*3600))
	t.oldest, errs[3] = m.Float64Gauge("tcckit.barrier.sweep.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest terminal row that the last sweep met; if it exceeds the retention by more than the interval, sweeps do not keep up."))
	return t, errors.Join(errs[:]...)
}

func (t *sweepTelemetry) chunk(ctx context.Context, res SweepResult) {
	t.scanned.Add(ctx, res.Scanned, t.with)
	t.deleted.Add(ctx, res.Deleted, t.with)
}

func (t *sweepTelemetry) end(ctx context.Context, sum SweepResult, took time.Duration) {
	t.duration.Record(ctx, took.Seconds(), t.with)
	t.oldest.Record(ctx, sum.Oldest.Seconds(), t.with)
}
