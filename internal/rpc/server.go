package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"buf.build/go/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tcckit/tcckit/tcc"
)

// ServerConfig configures [NewServer]. The zero value is an internal listener
// without TLS and signatures.
type ServerConfig struct {
	// Public makes a server for callers from outside: it serves only Methods,
	// and no branches. Health and reflection are served always.
	Public bool
	// Methods are the full methods that a public server serves, as in the
	// generated <Service>_<Method>_FullMethodName constants. The
	// participants' PublicMethods return theirs.
	Methods []string
	// Authenticate decides about each call but health checks. Nil lets all
	// through.
	Authenticate Authenticator
	// Keys verifies the signatures of branch calls. Nil accepts branch calls
	// without one.
	Keys *tcc.Keyring
	// Credentials are the server's TLS credentials. Nil serves without TLS.
	Credentials credentials.TransportCredentials
	// Callers are those who may call the phases of branches, by the
	// certificates that Credentials have demanded. Nil lets everybody call
	// all.
	Callers *Callers

	// Logger receives what callers must not see. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider, TracerProvider and Propagator are OpenTelemetry's. Nil
	// means the global ones.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	Propagator     propagation.TextMapPropagator
}

// The server's keepalive. A client may ping every 10 s, also between calls; the
// server pings after 30 s of silence, so that a peer that vanished is noticed.
// Connections are ended after 10 minutes or so, when their calls are: clients
// that make new ones find replicas that came since, and show their certificates
// again.
const (
	minPing       = 10 * time.Second
	pingAfter     = 30 * time.Second
	pingPatience  = 10 * time.Second
	connectionAge = 10 * time.Minute
)

// Server is a gRPC server for one listener, with health, reflection,
// validation, recovery, telemetry and tcc's interceptor. Services are
// registered on it as on a *grpc.Server. It is served by [Serve].
type Server struct {
	grpc     *grpc.Server
	health   *health.Server
	watching *watching
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// NewServer returns a server that serves nothing yet.
func NewServer(cfg ServerConfig) (*Server, error) {
	if len(cfg.Methods) > 0 && !cfg.Public {
		return nil, errors.New("rpc: an internal server serves every method: Methods are for a public one")
	}
	if cfg.Callers != nil && (cfg.Public || cfg.Credentials == nil) {
		return nil, errors.New("rpc: Callers are for an internal server with TLS credentials: elsewhere no certificate tells who calls a branch")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	validate, err := validator()
	if err != nil {
		return nil, err
	}
	branches, err := tcc.UnaryServerInterceptor(tcc.ServerConfig{
		Keys: cfg.Keys, Validate: validate, Logger: cfg.Logger, MeterProvider: cfg.MeterProvider,
	})
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	rec := recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
		cfg.Logger.ErrorContext(ctx, "interceptor panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	})
	guard, err := newGuard(cfg.Callers, cfg.Logger, cfg.MeterProvider)
	if err != nil {
		return nil, err
	}
	g := &gate{public: cfg.Public, methods: cfg.Methods, guard: guard}
	w := &watching{drain: make(chan struct{})}
	unary := []grpc.UnaryServerInterceptor{recovery.UnaryServerInterceptor(rec), g.unary}
	stream := []grpc.StreamServerInterceptor{recovery.StreamServerInterceptor(rec), g.stream, w.stream}
	if cfg.Authenticate != nil {
		unary = append(unary, exceptHealth(auth.UnaryServerInterceptor(cfg.Authenticate)))
		stream = append(stream, exceptHealthStream(auth.StreamServerInterceptor(cfg.Authenticate)))
	}
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.ChainUnaryInterceptor(append(unary, branches)...),
		grpc.ChainStreamInterceptor(stream...),
		grpc.StatsHandler(otelgrpc.NewServerHandler(telemetry(cfg.MeterProvider, cfg.TracerProvider, cfg.Propagator)...)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingPatience, MaxConnectionAge: connectionAge}),
	}
	if cfg.Credentials != nil {
		opts = append(opts, grpc.Creds(cfg.Credentials))
	}
	s := &Server{grpc: grpc.NewServer(opts...), health: health.NewServer(), watching: w}
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s, nil
}

// RegisterService registers a service, and its health as serving.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	decoding{s.grpc}.RegisterService(desc, impl)
	s.health.SetServingStatus(desc.ServiceName, healthpb.HealthCheckResponse_SERVING)
}

// SetServing says whether a service, or the whole server for "", is healthy.
// It has no effect once the server drains.
func (s *Server) SetServing(service string, serving bool) {
	st := healthpb.HealthCheckResponse_SERVING
	if !serving {
		st = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus(service, st)
}

// serve serves until the server is stopped.
func (s *Server) serve(l net.Listener) error {
	err := s.grpc.Serve(l)
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Unhealthy answers health checks with NOT_SERVING from now on, and goes on
// serving: balancers are to look elsewhere before it is too late. [Serve] does
// so by itself when it ends.
func (s *Server) Unhealthy() { s.health.Shutdown() }

// drain refuses new calls and waits for those that run; when ctx ends they are
// cut off, and it reports false. It is called once.
func (s *Server) drain(ctx context.Context) bool {
	close(s.watching.drain)
	done := make(chan struct{})
	go func() { defer close(done); s.grpc.GracefulStop() }()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return false
	}
}

// validator returns the check of requests against the rules in their protos.
func validator() (func(any) error, error) {
	v, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return func(req any) error {
		msg, ok := req.(proto.Message)
		if !ok {
			return nil
		}
		return v.Validate(msg)
	}, nil
}

func exceptHealth(next grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if isHealth(info.FullMethod) {
			return handler(ctx, req)
		}
		return next(ctx, req, info, handler)
	}
}

func exceptHealthStream(next grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if isHealth(info.FullMethod) {
			return handler(srv, ss)
		}
		return next(srv, ss, info, handler)
	}
}
