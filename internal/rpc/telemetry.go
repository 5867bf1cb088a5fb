package rpc

import (
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// telemetry are the options of otelgrpc, which takes the global providers for
// those left out. Health checks are not traced.
func telemetry(mp metric.MeterProvider, tp trace.TracerProvider, p propagation.TextMapPropagator) []otelgrpc.Option {
	opts := []otelgrpc.Option{otelgrpc.WithFilter(filters.Not(filters.HealthCheck()))}
	if mp != nil {
		opts = append(opts, otelgrpc.WithMeterProvider(mp))
	}
	if tp != nil {
		opts = append(opts, otelgrpc.WithTracerProvider(tp))
	}
	if p != nil {
		opts = append(opts, otelgrpc.WithPropagators(p))
	}
	return opts
}
