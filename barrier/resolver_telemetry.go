package barrier

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/tcckit/tcckit/barrier"

// resolverTelemetry is what a resolver counts and measures.
type resolverTelemetry struct {
	participant []attribute.KeyValue
	stuck       metric.Int64Gauge
	oldest      metric.Float64Gauge
	exhausted   metric.Int64Gauge
	resolutions metric.Int64Counter
	retried     metric.Int64Counter
}

func newResolverTelemetry(mp metric.MeterProvider, participant string) (*resolverTelemetry, error) {
	m := mp.Meter(scope)
	t := &resolverTelemetry{participant: participantAttribute(participant)}
	var errs [5]error
	t.stuck, errs[0] = m.Int64Gauge("tcckit.barrier.stuck",
		metric.WithDescription("Branches that are TRIED for longer than the threshold, by what the coordinator says of them, as the last pass of the resolver found them."))
	t.oldest, errs[1] = m.Float64Gauge("tcckit.barrier.stuck.oldest.age", metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest of them, 0 if there is none."))
	t.exhausted, errs[2] = m.Int64Gauge("tcckit.barrier.retries.exhausted",
		metric.WithDescription("Global transactions that have failed so often that the coordinator must not be asked to try them again."))
	t.resolutions, errs[3] = m.Int64Counter("tcckit.barrier.resolutions",
		metric.WithDescription("Branches that were finished in the coordinator's place, by what was decided, on whose authority, and whether it took effect."))
	t.retried, errs[4] = m.Int64Counter("tcckit.barrier.coordinator.retries",
		metric.WithDescription("Global transactions that the coordinator was asked to try again before it would have by itself."))
	return t, errors.Join(errs[:]...)
}

func participantAttribute(name string) []attribute.KeyValue {
	if name == "" {
		return nil
	}
	return []attribute.KeyValue{attribute.String("participant", name)}
}

// found measures a pass.
func (t *resolverTelemetry) found(ctx context.Context, p PassResult) {
	for _, v := range verdicts() {
		t.stuck.Record(ctx, int64(p.Verdicts[v]), metric.WithAttributes(t.participant...), metric.WithAttributes(attribute.String("verdict", v.String())))
	}
	with := metric.WithAttributes(t.participant...)
	t.oldest.Record(ctx, p.Oldest.Seconds(), with)
	t.exhausted.Record(ctx, int64(p.Exhausted), with)
	t.retried.Add(ctx, int64(p.Retried), with)
}

// tell counts and logs one act. It is an alarm: nobody should have to finish a
// branch in the coordinator's place.
func (r *Resolver) tell(ctx context.Context, res Resolution, err error) {
	result := "done"
	if err != nil {
		result = "failed"
		if errors.As(err, new(*OvertakenError)) {
			result = "overtaken"
		}
	}
	r.telemetry.resolutions.Add(ctx, 1, metric.WithAttributes(r.telemetry.participant...), metric.WithAttributes(
		attribute.String("phase", res.Phase.String()), attribute.String("basis", string(res.Basis)), attribute.String("result", result)))
	attrs := []slog.Attr{
		slog.String("gid", res.GID), slog.String("branch_id", res.BranchID), slog.String("phase", res.Phase.String()),
		slog.String("method", res.Method), slog.String("basis", string(res.Basis)), slog.String("by", res.By), slog.String("reason", res.Reason),
		slog.String("before", res.Before.String()), slog.String("after", res.After.String()), slog.String("result", result),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "barrier: a branch was finished in the coordinator's place", attrs...)
}

// report logs a stuck row that only a person can bring to an end.
func (r *Resolver) report(ctx context.Context, row StuckBranch, v View) {
	if v.Verdict != Forgotten && v.Verdict != Contradictory {
		return
	}
	r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "barrier: a branch is stuck, and a person must decide: tcckit barrier resolve",
		slog.String("gid", row.GID), slog.String("branch_id", row.BranchID), slog.String("method", row.Method),
		slog.String("age", time.Since(row.TriedAt).Round(time.Second).String()),
		slog.String("verdict", v.Verdict.String()), slog.String("status", v.Status))
}
