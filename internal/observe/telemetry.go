package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config says who is observed and where traces go.
type Config struct {
	// Service and Version name the process in metrics and traces.
	Service, Version string
	// OTLPEndpoint is the URL of a collector that takes traces by OTLP over gRPC, such as
	// http://127.0.0.1:4317. Empty: spans are not recorded, and an incoming trace is still passed on.
	OTLPEndpoint string
}

// Telemetry is where a process records its metrics and traces. It is safe for concurrent use.
type Telemetry struct {
	registry *prometheus.Registry
	meters   *sdkmetric.MeterProvider
	tracers  *sdktrace.TracerProvider
}

// NewTelemetry returns a Telemetry, which must be Shutdown. It does not wait for the collector.
func NewTelemetry(ctx context.Context, cfg Config) (*Telemetry, error) {
	res, err := resource.Merge(resource.Default(), resource.NewSchemaless(
		attribute.String("service.name", cfg.Service),
		attribute.String("service.version", cfg.Version),
	))
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("observe: %w", err)
	}
	tracers, err := newTracers(ctx, cfg.OTLPEndpoint, res)
	if err != nil {
		return nil, err
	}
	return &Telemetry{
		registry: registry,
		meters:   sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res)),
		tracers:  tracers,
	}, nil
}

func newTracers(ctx context.Context, endpoint string, res *resource.Resource) (*sdktrace.TracerProvider, error) {
	if endpoint == "" {
		return sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.NeverSample())), nil
	}
	// The exporter itself only logs a URL that it cannot read, and goes elsewhere.
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("observe: OTLP endpoint %q: want http://host:port or https://host:port", endpoint)
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("observe: traces to %s: %w", endpoint, err)
	}
	return sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(exporter)), nil
}

// MeterProvider is where metrics are recorded.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// TracerProvider is where spans are recorded.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// Propagator carries traces from process to process, in W3C's form.
func (t *Telemetry) Propagator() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

// Registerer is where what counts in Prometheus' own way is registered.
func (t *Telemetry) Registerer() prometheus.Registerer { return t.registry }

// MetricsHandler answers with the metrics in Prometheus' text format.
func (t *Telemetry) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{Registry: t.registry})
}

// Shutdown sends what is still to be sent, within ctx, and ends.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if err := errors.Join(t.tracers.Shutdown(ctx), t.meters.Shutdown(ctx)); err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	return nil
}
