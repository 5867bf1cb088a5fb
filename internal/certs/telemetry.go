package certs

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/tcckit/tcckit/internal/certs"

// telemetry is what a Source counts and measures.
type telemetry struct {
	reloads    metric.Int64Counter
	handshakes metric.Int64Counter
}

func newTelemetry(mp metric.MeterProvider, s *Source) (*telemetry, error) {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	m, t := mp.Meter(scope), &telemetry{}
	var errs [3]error
	t.reloads, errs[0] = m.Int64Counter("tcckit.tls.reload.failures",
		metric.WithDescription("Looks at the TLS files that found them changed to something that cannot be used."))
	t.handshakes, errs[1] = m.Int64Counter("tcckit.tls.handshake.failures",
		metric.WithDescription("TLS handshakes that failed, by the side that this process had in them."))
	_, errs[2] = m.Int64ObservableGauge("tcckit.tls.certificate.not_after", metric.WithUnit("s"),
		metric.WithDescription("When the certificate in use expires, in seconds since 1970."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(s.current().own.Leaf.NotAfter.Unix())
			return nil
		}))
	return t, errors.Join(errs[:]...)
}

func (t *telemetry) failed() { t.reloads.Add(context.Background(), 1) }

func (t *telemetry) handshakeFailed(side string) {
	t.handshakes.Add(context.Background(), 1, metric.WithAttributes(attribute.String("side", side)))
}
