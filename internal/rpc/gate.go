package rpc

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

// opHeader is where a call of a branch says which phase it is.
const opHeader = "dtm-op"

// gate decides by a call's method whether this listener serves it, and by its
// caller's certificate whether it serves it to them.
type gate struct {
	public  bool
	methods []string // of a public listener
	guard   *guard
}

// infrastructure are the services that every listener serves.
func infrastructure(method string) bool {
	return isHealth(method) || strings.HasPrefix(method, "/grpc.reflection.")
}

func isHealth(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") }

// admit returns why a call may not go on, nil if it may.
//
// It is the method that says what the call does, so the method's phase decides
// who may call it, with or without a transaction's metadata. Metadata of
// another phase is refused: barrier and handler would not agree about what is
// being done.
func (g *gate) admit(ctx context.Context, method string) error {
	if infrastructure(method) {
		return nil
	}
	branch := isBranchCall(ctx)
	phase, isPhase := phaseOf(method)
	switch {
	case g.public && !slices.Contains(g.methods, method):
		return status.Errorf(codes.PermissionDenied, "%s is not served on the public address: call it on the service's internal address", method)
	case g.public && branch:
		return status.Error(codes.PermissionDenied, "the call says that it belongs to a global transaction: branches are not served on the public address")
	case branch && !isPhase:
		// Taken as a Confirm it would go without validation.
		return status.Errorf(codes.InvalidArgument, "%s is no branch of a global transaction: call it without the metadata of one", method)
	case g.public || !isPhase:
		return nil
	}
	if err := g.guard.admit(ctx, method, phase); err != nil {
		return err
	}
	for _, op := range metadata.ValueFromIncomingContext(ctx, opHeader) {
		if claimed, known := tcc.ParsePhase(op); known && claimed != phase {
			return status.Errorf(codes.InvalidArgument, "the call says that it is a %s, and %s is a %s", claimed, method, phase)
		}
	}
	return nil
}

// isBranchCall reports whether the call carries a global transaction's
// metadata.
func isBranchCall(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	for k := range md {
		if strings.HasPrefix(k, "dtm-") {
			return true
		}
	}
	return false
}

// phaseOf returns the phase of a branch that a method is named as, false if as
// none.
func phaseOf(method string) (tcc.Phase, bool) {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for prefix, phase := range map[string]tcc.Phase{"Try": tcc.Try, "Confirm": tcc.Confirm, "Cancel": tcc.Cancel} {
		if strings.HasPrefix(name, prefix) {
			return phase, true
		}
	}
	return 0, false
}

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := g.admit(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

func (g *gate) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := g.admit(ss.Context(), info.FullMethod); err != nil {
		return err
	}
	return handler(srv, ss)
}
