package outbox

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// telemetry is what an outbox and its relays count and measure.
type telemetry struct {
	with metric.MeasurementOption

	published metric.Int64Counter
	failed    metric.Int64Counter
	refused   metric.Int64Counter
	settle    metric.Int64Counter
	duration  metric.Float64Histogram
	depth     metric.Int64Gauge
	age       metric.Float64Gauge
	swept     metric.Int64Counter
}

func newTelemetry(mp metric.MeterProvider, participant string) (*telemetry, error) {
	m := mp.Meter("github.com/tcckit/tcckit/messaging/outbox")
	t := &telemetry{with: metric.WithAttributes()}
	if participant != "" {
		t.with = metric.WithAttributes(attribute.String("participant", participant))
	}
	var errs [8]error
	t.published, errs[0] = m.Int64Counter("tcckit.outbox.published",
		metric.WithDescription("Messages that a broker has taken, by topic; one that is sent again, for its result did not come, counts again."))
	t.refused, errs[1] = m.Int64Counter("tcckit.outbox.publish.errors",
		metric.WithDescription("Calls of the publisher that failed, by topic and by whether the broker was away (unavailable) or refused (refused, permanent)."))
	t.failed, errs[2] = m.Int64Counter("tcckit.outbox.failed",
		metric.WithDescription("Messages that a relay has given up, by topic. Somebody must look at them."))
	t.settle, errs[3] = m.Int64Counter("tcckit.outbox.settled",
		metric.WithDescription("Results that arrived, by outcome."))
	t.duration, errs[4] = m.Float64Histogram("tcckit.outbox.publish.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one call of the publisher, which may be for many messages, by topic."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	t.depth, errs[5] = m.Int64Gauge("tcckit.outbox.depth",
		metric.WithDescription("Messages by state: NEW (not published yet), AWAITING (sent, and the result did not come yet), FAILED."))
	t.age, errs[6] = m.Float64Gauge("tcckit.outbox.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest message that is NEW, 0 if there is none."))
	t.swept, errs[7] = m.Int64Counter("tcckit.outbox.swept",
		metric.WithDescription("Messages that were deleted, long after they were done."))
	return t, errors.Join(errs[:]...)
}

func ofTopic(topic string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("topic", topic))
}

// call measures one call of the publisher.
func (t *telemetry) call(ctx context.Context, topic string, n int, took time.Duration, err error) {
	t.duration.Record(ctx, took.Seconds(), t.with, ofTopic(topic))
	if err != nil {
		t.refused.Add(ctx, 1, t.with, ofTopic(topic), metric.WithAttributes(attribute.String("cause", causeOf(err).String())))
		return
	}
	t.published.Add(ctx, int64(n), t.with, ofTopic(topic))
}

func (t *telemetry) settled(ctx context.Context, failed bool) {
	outcome := StateConfirmed
	if failed {
		outcome = StateFailed
	}
	t.settle.Add(ctx, 1, t.with, metric.WithAttributes(attribute.String("outcome", string(outcome))))
}

func (t *telemetry) stats(ctx context.Context, s Stats) {
	for state, n := range map[string]int64{string(StateNew): s.New, "AWAITING": s.Awaiting, string(StateFailed): s.Failed} {
		t.depth.Record(ctx, n, t.with, metric.WithAttributes(attribute.String("state", state)))
	}
	t.age.Record(ctx, s.Age.Seconds(), t.with)
}
