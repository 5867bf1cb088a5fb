package rocketmq

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tcckit/tcckit/messaging"
)

const scope = "github.com/tcckit/tcckit/messaging/rocketmq"

// telemetry is what a bus counts and measures.
type telemetry struct {
	sent     metric.Int64Counter
	duration metric.Float64Histogram
	handed   metric.Int64Counter
	lag      metric.Registration
}

func newTelemetry(b *Bus) (*telemetry, error) {
	m := b.cfg.MeterProvider.Meter(scope)
	t := &telemetry{}
	var errs [5]error
	t.sent, errs[0] = m.Int64Counter("tcckit.rocketmq.published",
		metric.WithDescription("Messages published, by topic and result: ok, unavailable, permanent or error."))
	t.duration, errs[1] = m.Float64Histogram("tcckit.rocketmq.publish.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one call of Publish, by topic and result."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5))
	t.handed, errs[2] = m.Int64Counter("tcckit.rocketmq.delivered",
		metric.WithDescription("Messages handed to subscribers, by topic, group and outcome: ack, nack, or abandoned at the end of a subscription."))
	lag, err := m.Int64ObservableGauge("tcckit.rocketmq.consumer.lag",
		metric.WithDescription("Messages of a topic that a group has not acknowledged, as the brokers have it, for the subscriptions of this process."))
	errs[3] = err
	t.lag, errs[4] = m.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		b.observeLag(ctx, func(group, topic string, n int64) {
			o.ObserveInt64(lag, n, metric.WithAttributes(attribute.String("topic", topic), attribute.String("group", group)))
		})
		return nil
	}, lag)
	return t, errors.Join(errs[:]...)
}

func (t *telemetry) close() error { return t.lag.Unregister() }

func (t *telemetry) published(ctx context.Context, topic string, n int, took time.Duration, err error) {
	result := "ok"
	switch {
	case errors.Is(err, messaging.ErrUnavailable):
		result = "unavailable"
	case errors.Is(err, messaging.ErrPermanent):
		result = "permanent"
	case err != nil:
		result = "error"
	}
	with := metric.WithAttributes(attribute.String("topic", topic), attribute.String("result", result))
	t.sent.Add(ctx, int64(n), with)
	t.duration.Record(ctx, took.Seconds(), with)
}

func (t *telemetry) delivered(topic, group string) func(outcome) {
	return func(o outcome) {
		t.handed.Add(context.Background(), 1, metric.WithAttributes(
			attribute.String("topic", topic), attribute.String("group", group), attribute.String("outcome", string(o))))
	}
}
