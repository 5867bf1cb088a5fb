package rocketmq

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// transactionTelemetry is what Transactions count and measure.
type transactionTelemetry struct {
	group    metric.MeasurementOption
	name     attribute.KeyValue
	open     metric.Int64UpDownCounter
	ended    metric.Int64Counter
	duration metric.Float64Histogram
	checks   metric.Int64Counter
	swept    metric.Int64Counter
}

func newTransactionTelemetry(p metric.MeterProvider, group string) (*transactionTelemetry, error) {
	m := p.Meter(scope)
	name := attribute.String("group", group)
	t := &transactionTelemetry{name: name, group: metric.WithAttributes(name)}
	var errs [5]error
	t.open, errs[0] = m.Int64UpDownCounter("tcckit.rocketmq.transactions.open",
		metric.WithDescription("Transactions of this process that have a half message, or are about to, and no outcome yet, by group."))
	t.ended, errs[1] = m.Int64Counter("tcckit.rocketmq.transactions",
		metric.WithDescription("Transactions that have ended, by group, topic and outcome: committed, rolled_back, unknown if a check-back has to find it out, or not_sent without a half message."))
	t.duration, errs[2] = m.Float64Histogram("tcckit.rocketmq.transaction.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of a transaction, half message and business, by group, topic and outcome."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30))
	t.checks, errs[3] = m.Int64Counter("tcckit.rocketmq.transaction.checks",
		metric.WithDescription("Check-backs of brokers, by group and answer: committed, rolled_back, pending before the deadline, unavailable if the database did not answer, or foreign for what is not of this log."))
	t.swept, errs[4] = m.Int64Counter("tcckit.rocketmq.transactions.swept",
		metric.WithDescription("Outcomes deleted after the retention, by group."))
	return t, errors.Join(errs[:]...)
}

// begin notes a transaction and returns what notes its end.
func (t *transactionTelemetry) begin(ctx context.Context, topic string) (end func(result)) {
	began := time.Now()
	t.open.Add(ctx, 1, t.group)
	return func(r result) {
		t.open.Add(ctx, -1, t.group)
		with := metric.WithAttributes(t.name, attribute.String("topic", topic), attribute.String("outcome", string(r)))
		t.ended.Add(ctx, 1, with)
		t.duration.Record(ctx, time.Since(began).Seconds(), with)
	}
}

func (t *transactionTelemetry) checked(ctx context.Context, answer string) {
	t.checks.Add(ctx, 1, metric.WithAttributes(t.name, attribute.String("answer", answer)))
}
