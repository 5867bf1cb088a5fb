package rpc

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// gate decides by a call's method whether this listener serves it.
type gate struct {
	public  bool
	methods []string // of a public listener
}

// infrastructure are the services that every listener serves.
func infrastructure(method string) bool {
	return isHealth(method) || strings.HasPrefix(method, "/grpc.reflection.")
}

func isHealth(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") }

// admit returns why a call may not go on, nil if it may.
func (g *gate) admit(ctx context.Context, method string) error {
	if infrastructure(method) {
		return nil
	}
	branch := isBranchCall(ctx)
	switch {
	case g.public && !slices.Contains(g.methods, method):
		return status.Errorf(codes.PermissionDenied, "%s is not served on the public address: call it on the service's internal address", method)
	case g.public && branch:
		return status.Error(codes.PermissionDenied, "the call says that it belongs to a global transaction: branches are not served on the public address")
	case branch && !isPhase(method):
		// Taken as a Confirm it would go without validation.
		return status.Errorf(codes.InvalidArgument, "%s is no branch of a global transaction: call it without the metadata of one", method)
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

// isPhase reports whether a method is named as a phase of a branch.
func isPhase(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, phase := range [...]string{"Try", "Confirm", "Cancel"} {
		if strings.HasPrefix(name, phase) {
			return true
		}
	}
	return false
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
