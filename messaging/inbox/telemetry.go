package inbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/tcckit/tcckit/messaging/inbox"

// outcome is how one run of a message ended, the metric attribute of that name.
type outcome string

const (
	outcomeDone      outcome = "done"
	outcomeDuplicate outcome = "duplicate"
	outcomeParked    outcome = "parked"
	outcomeDead      outcome = "dead"
	outcomeRefused   outcome = "refused" // the broker, or the claim's end, brings it back
)

// telemetry is what an inbox counts and measures.
type telemetry struct {
	meter    metric.Meter
	tracer   trace.Tracer
	consumer attribute.KeyValue
	with     metric.MeasurementOption
	by       map[outcome]metric.MeasurementOption
	span     []trace.SpanStartOption

	duration  metric.Float64Histogram
	lag       metric.Float64Histogram
	tries     metric.Int64Histogram
	restarts  metric.Int64Counter
	published metric.Int64Counter
	parked    metric.Int64Gauge
	dead      metric.Int64Gauge
	swept     metric.Int64Counter
	running   metric.Int64ObservableGauge
	oldest    metric.Float64ObservableGauge
}

func newTelemetry(cfg Config) (*telemetry, error) {
	m := cfg.MeterProvider.Meter(scope)
	consumer := attribute.String("consumer", cfg.Consumer)
	t := &telemetry{
		meter: m, tracer: cfg.TracerProvider.Tracer(scope), consumer: consumer,
		with: metric.WithAttributeSet(attribute.NewSet(consumer)), by: make(map[outcome]metric.MeasurementOption),
		span: []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(consumer, attribute.String("messaging.destination.name", cfg.Topic))},
	}
	for _, o := range [...]outcome{outcomeDone, outcomeDuplicate, outcomeParked, outcomeDead, outcomeRefused} {
		t.by[o] = metric.WithAttributeSet(attribute.NewSet(consumer, attribute.String("outcome", string(o))))
	}
	var errs [10]error
	t.duration, errs[0] = m.Float64Histogram("tcckit.inbox.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one run of a message, by outcome: done, duplicate, parked, dead, or refused, which leaves it to the broker. Its count is the number of runs."),
		metric.WithExplicitBucketBoundaries(.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60))
	t.lag, errs[1] = m.Float64Histogram("tcckit.inbox.lag", metric.WithUnit("s"),
		metric.WithDescription("Time from when a message was written, as its id (UUIDv7) has it, to when it was handled; by the clocks of two machines."),
		metric.WithExplicitBucketBoundaries(.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 60, 600, 3600))
	t.tries, errs[2] = m.Int64Histogram("tcckit.inbox.tries",
		metric.WithDescription("How often a message was run when it was done or dead."),
		metric.WithExplicitBucketBoundaries(1, 2, 3, 5, 8, 13, 21))
	t.restarts, errs[3] = m.Int64Counter("tcckit.inbox.restarts",
		metric.WithDescription("Transactions that were run again at once after a deadlock, a lock wait or a lost connection."))
	t.published, errs[4] = m.Int64Counter("tcckit.inbox.dead_letters",
		metric.WithDescription("Dead letters by whether they could be published."))
	t.parked, errs[5] = m.Int64Gauge("tcckit.inbox.parked",
		metric.WithDescription("Messages that failed and are tried again."))
	t.dead, errs[6] = m.Int64Gauge("tcckit.inbox.dead",
		metric.WithDescription("Messages that were given up: somebody should look at them."))
	t.swept, errs[7] = m.Int64Counter("tcckit.inbox.swept",
		metric.WithDescription("Rows that were deleted, for their message was handled long ago."))
	t.running, errs[8] = m.Int64ObservableGauge("tcckit.inbox.running",
		metric.WithDescription("Messages that this process is handling."))
	t.oldest, errs[9] = m.Float64ObservableGauge("tcckit.inbox.running.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest of them has been running: beyond the timeout, its handler ignores the end of its context."))
	return t, errors.Join(errs[:]...)
}

// observe reports what runs, until the returned function is called.
func (t *telemetry) observe(i *Inbox) (stop func()) {
	reg, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		n, oldest := i.running.look()
		o.ObserveInt64(t.running, int64(n), t.with)
		o.ObserveFloat64(t.oldest, oldest.Seconds(), t.with)
		return nil
	}, t.running, t.oldest)
	if err != nil {
		i.cfg.Logger.Warn("inbox: no metrics of what is running", "error", err)
		return func() {}
	}
	return func() { _ = reg.Unregister() }
}

// begin starts the span of one run; the returned function ends it and counts.
func (t *telemetry) begin(ctx context.Context, i *Inbox, msg *message.Message) (context.Context, func(outcome, error)) {
	began := time.Now()
	ctx = i.cfg.Propagator.Extract(ctx, propagation.MapCarrier(msg.Metadata))
	ctx, span := t.tracer.Start(ctx, "inbox "+i.cfg.Consumer, t.span...)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("messaging.message.id", msg.UUID))
	}
	return ctx, func(o outcome, err error) {
		now := time.Now()
		t.duration.Record(ctx, now.Sub(began).Seconds(), t.by[o])
		if written, ok := writtenAt(msg.UUID); ok && o == outcomeDone {
			t.lag.Record(ctx, max(0, now.Sub(written).Seconds()), t.with)
		}
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.SetAttributes(attribute.String("outcome", string(o)))
		span.End()
	}
}

// writtenAt is the time in an id that an outbox gave.
func writtenAt(id string) (time.Time, bool) {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}, false
	}
	sec, nsec := u.Time().UnixTime()
	return time.Unix(sec, nsec), true
}

// ended counts the tries of a message that needs no more of them.
func (t *telemetry) ended(ctx context.Context, r *run) { t.tries.Record(ctx, int64(r.tries), t.with) }

// failed logs a failed run.
func (t *telemetry) failed(ctx context.Context, i *Inbox, r *run, v verdict) {
	level, text := slog.LevelWarn, "inbox: a message failed and is tried again"
	attrs := []slog.Attr{
		slog.String("message_id", r.id), slog.String("topic", i.cfg.Topic),
		slog.Int("tries", r.tries), slog.Int("excused", v.excused), slog.String("error", v.reason),
	}
	if v.state == Dead {
		level, text = slog.LevelError, "inbox: a message is given up"
		t.ended(ctx, r)
	} else {
		attrs = append(attrs, slog.String("after", v.delay.Round(time.Millisecond).String()))
	}
	i.cfg.Logger.LogAttrs(ctx, level, text, attrs...)
}

func (t *telemetry) restarted(ctx context.Context) { t.restarts.Add(ctx, 1, t.with) }

func (t *telemetry) buried(ctx context.Context, ok bool) {
	t.published.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(t.consumer, attribute.Bool("published", ok))))
}
