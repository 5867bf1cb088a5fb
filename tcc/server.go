package tcc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// MaxTryAge is how long after its global transaction's signed start a Try is
// still accepted. It keeps a Try from arriving after the barrier has forgotten
// its Cancel: package barrier keeps rows for at least 8 days.
const MaxTryAge = 24 * time.Hour

// ServerConfig configures [UnaryServerInterceptor]. The zero value works:
// branch calls are then accepted without a signature.
type ServerConfig struct {
	// Keys verifies signatures. Nil accepts branch calls without one, which
	// is for networks in which nobody else can reach the participant.
	Keys *Keyring
	// Validate checks the request of a Try, and of a call outside any
	// transaction, before its handler. Its error's text goes to the caller
	// as InvalidArgument. Confirm and Cancel are not validated: a rule that
	// a release tightens must not strand what is in flight. Nil checks
	// nothing.
	Validate func(request any) error
	// Logger receives what the caller must not see: the full text of
	// errors, panics with their stacks. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global
	// one.
	MeterProvider metric.MeterProvider
}

// UnaryServerInterceptor returns the interceptor that every participant
// installs: it reads the branch from the metadata of the initiator or DTM,
// verifies the signature, validates the request, recovers panics, maps errors
// to the codes that DTM acts on, and records metrics and logs. Calls outside
// any transaction pass with validation, recovery and sanitised errors only.
func UnaryServerInterceptor(cfg ServerConfig) (grpc.UnaryServerInterceptor, error) {
	t, err := newTelemetry(cfg.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("tcc: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s := &server{cfg: cfg, telemetry: t}
	return s.intercept, nil
}

type server struct {
	cfg       ServerConfig
	telemetry *telemetry
}

func (s *server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	b, signature, isBranch, err := incoming(ctx, info.FullMethod)
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "branch call refused", "method", info.FullMethod, "error", err)
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if !isBranch {
		return s.plain(ctx, req, info, handler)
	}
	if err := s.admit(b, signature); err != nil {
		s.cfg.Logger.WarnContext(ctx, "branch call refused", "method", info.FullMethod, "gid", b.GID, "branch_id", b.ID, "phase", b.Phase.String(), "error", err)
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	return s.branch(NewContext(ctx, b), b, req, handler)
}

func (s *server) admit(b Branch, signature string) error {
	if s.cfg.Keys == nil {
		return nil
	}
	now := time.Now()
	start, err := s.cfg.Keys.Verify(b.GID, signature, now)
	if err != nil {
		return err
	}
	if age := now.Sub(start); b.Phase == Try && age > MaxTryAge {
		return fmt.Errorf("%w is too old for a try: its transaction began %s ago, at most %s are allowed", ErrSignature, age.Round(time.Second), MaxTryAge)
	}
	return nil
}

// plain serves a call outside any transaction.
func (s *server) plain(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := s.call(ctx, req, info.FullMethod, s.cfg.Validate, handler)
	if err == nil {
		return resp, nil
	}
	// A plain method may use any code of its own.
	if st, ok := status.FromError(err); ok {
		return nil, st.Err()
	}
	st, _ := statusFor(0, err)
	if st.Code() == codes.Internal || st.Code() == codes.Unavailable {
		s.cfg.Logger.ErrorContext(ctx, "call failed", "method", info.FullMethod, "error", err)
	}
	return nil, st.Err()
}

func (s *server) branch(ctx context.Context, b Branch, req any, handler grpc.UnaryHandler) (any, error) {
	begin := time.Now()
	annotate(ctx, b)
	resp, err := s.serve(ctx, b, req, handler)
	outcome := Done
	var st *status.Status
	if err != nil {
		st, outcome = statusFor(b.Phase, err)
	}
	if o, ok := OutcomeFromContext(ctx); ok {
		outcome = o
	}
	service, action := splitMethod(b.Method)
	took := time.Since(begin)
	s.telemetry.record(ctx, service, action, b.Phase, outcome, took)
	s.log(ctx, b, outcome, took, err)
	if err != nil {
		return nil, st.Err()
	}
	return resp, nil
}

func (s *server) serve(ctx context.Context, b Branch, req any, handler grpc.UnaryHandler) (any, error) {
	validate := s.cfg.Validate
	if b.Phase != Try {
		validate = nil
	}
	return s.call(ctx, req, b.Method, validate, handler)
}

// call validates the request, unless validate is nil, and runs the handler. It
// turns a panic of either into an error.
func (s *server) call(ctx context.Context, req any, method string, validate func(request any) error, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.cfg.Logger.ErrorContext(ctx, "call panicked", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			resp, err = nil, errPanic
		}
	}()
	if validate != nil {
		if err := validate(req); err != nil {
			return nil, Invalidf("%s", err)
		}
	}
	return handler(ctx, req)
}

var errPanic = errors.New("the call panicked")

func (s *server) log(ctx context.Context, b Branch, o Outcome, took time.Duration, err error) {
	level := slog.LevelDebug
	switch o {
	case Conflict, Failed:
		level = slog.LevelError
	case Unavailable, Invalid:
		level = slog.LevelWarn
	case LateTry, EmptyCancel:
		level = slog.LevelInfo
	}
	if !s.cfg.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("gid", b.GID),
		slog.String("branch_id", b.ID),
		slog.String("phase", b.Phase.String()),
		slog.String("method", b.Method),
		slog.String("outcome", string(o)),
		slog.Duration("took", took),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.cfg.Logger.LogAttrs(ctx, level, "branch", attrs...)
}

// splitMethod splits "/package.Service/TryDebit" into the service and the
// action: the method without its phase, so that the three phases of an action
// share one attribute.
func splitMethod(full string) (service, action string) {
	service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	for _, p := range [...]string{"Try", "Confirm", "Cancel"} {
		if rest, ok := strings.CutPrefix(method, p); ok && rest != "" {
			return service, rest
		}
	}
	return service, method
}
