package rpc

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// clientPing is after what silence a client pings during a call. A gRPC server
// that does not say otherwise, as DTM's, ends connections that ping more often
// than every 5 minutes. A peer that vanished is noticed sooner: grpc-go has
// Linux give data up that is not acknowledged within pingPatience.
const clientPing = 5*time.Minute + 10*time.Second

// DialConfig configures [Dial]. The zero value dials without TLS.
type DialConfig struct {
	// Credentials are the client's TLS credentials. Nil means none.
	Credentials credentials.TransportCredentials
	// MeterProvider, TracerProvider and Propagator are OpenTelemetry's. Nil
	// means the global ones.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	Propagator     propagation.TextMapPropagator
	// Interceptors see each call, the first one outermost. None of them may
	// repeat a call to a coordinator.
	Interceptors []grpc.UnaryClientInterceptor
}

// Dial returns a connection, which connects when it is first used, to a
// participant or a coordinator: spread over the addresses that the target
// resolves to, kept alive, and without a retry policy, also if DNS publishes
// one. Who may repeat a call knows whether it is safe; the coordinator's Submit
// must never be. The caller closes it.
//
// The target is host:port, several of these separated by commas, for replicas
// that no name resolves to, or a target of gRPC such as
// dns:///account.shop.svc:7402.
func Dial(target string, cfg DialConfig) (*grpc.ClientConn, error) {
	if target == "" {
		return nil, errors.New("rpc: the target to dial is empty: want host:port")
	}
	creds := cfg.Credentials
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`),
		grpc.WithDisableRetry(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: clientPing, Timeout: pingPatience}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(telemetry(cfg.MeterProvider, cfg.TracerProvider, cfg.Propagator)...)),
		grpc.WithChainUnaryInterceptor(cfg.Interceptors...),
	}
	target, list := replicas(target)
	conn, err := grpc.NewClient(target, append(options, list...)...)
	if err != nil {
		return nil, fmt.Errorf("rpc: dial %s: %w", target, err)
	}
	return conn, nil
}
