package rpc

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/tcc"
)

const scope = "github.com/tcckit/tcckit/internal/rpc"

// Callers are those who may call the phases of a branch, by the identities in
// their certificates (see [certs.Identities]): a caller needs one of those
// listed.
type Callers struct {
	// Initiators may call Try, Coordinators Confirm and Cancel. Nobody is
	// both unless listed in both.
	Initiators, Coordinators []string
	// Own reports whether a certificate is this process's own, which may call
	// every phase: a process that finishes a branch calls itself. Nil means
	// that none is.
	Own func(*x509.Certificate) bool
}

// guard decides by a caller's certificate whether it may call a phase.
type guard struct {
	callers *Callers
	log     *slog.Logger
	refused metric.Int64Counter
}

func newGuard(callers *Callers, log *slog.Logger, mp metric.MeterProvider) (*guard, error) {
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	refused, err := mp.Meter(scope).Int64Counter("tcckit.branch.refused",
		metric.WithDescription("Calls of a branch by somebody whose certificate does not permit them, by phase."))
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return &guard{callers, log, refused}, nil
}

// admit returns why the caller may not call a method of that phase, nil if it
// may.
func (g *guard) admit(ctx context.Context, method string, phase tcc.Phase) error {
	if g.callers == nil {
		return nil
	}
	allowed, who, setting := g.callers.Coordinators, "a coordinator", "--tls-coordinators"
	if phase == tcc.Try {
		allowed, who, setting = g.callers.Initiators, "an initiator", "--tls-initiators"
	}
	c, names := certs.Peer(ctx), certs.Identities(ctx)
	switch {
	case slices.ContainsFunc(names, func(name string) bool { return slices.Contains(allowed, name) }):
		return nil
	case c != nil && g.callers.Own != nil && g.callers.Own(c):
		return nil
	}
	g.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("phase", phase.String())))
	g.log.WarnContext(ctx, "branch call refused: the caller's certificate does not permit it",
		"method", method, "phase", phase.String(), "identities", names, "remote", remote(ctx), "setting", setting)
	caller := "the caller, who has shown no certificate,"
	if c != nil {
		caller = "the owner of the certificate of " + strings.Join(names, ", ")
	}
	return status.Errorf(codes.PermissionDenied, "%s may not call %s: that takes %s, and those listed in %s here are %s",
		caller, method, who, setting, strings.Join(allowed, ", "))
}

func remote(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}
