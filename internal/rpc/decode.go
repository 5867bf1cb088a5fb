package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// decoding registers services whose methods answer InvalidArgument to a
// request that cannot be decoded, such as one with text that is not UTF-8.
// grpc answers Internal by itself, before any interceptor, which says that the
// server is at fault and has callers try again.
type decoding struct{ grpc.ServiceRegistrar }

func (d decoding) RegisterService(desc *grpc.ServiceDesc, impl any) {
	own := *desc
	own.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, m := range desc.Methods {
		own.Methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: decodingHandler(m.Handler)}
	}
	d.ServiceRegistrar.RegisterService(&own, impl)
}

func decodingHandler(next grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		return next(srv, ctx, func(req any) error {
			err := dec(req)
			if err == nil || status.Code(err) != codes.Internal {
				return err
			}
			return status.Errorf(codes.InvalidArgument, "the request cannot be decoded: %s", status.Convert(err).Message())
		}, interceptor)
	}
}
