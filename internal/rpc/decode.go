package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// A request that cannot be decoded, such as one with text that is not UTF-8,
// should be InvalidArgument. grpc answers Internal by itself, before any handler
// or interceptor could say otherwise, which tells callers that the server is at
// fault and has them try again. So the services' methods ask for a request
// wrapped in a target, whose decoding never fails for grpc, and then look what
// became of it.

// target is a message to be decoded, and why it could not be.
type target struct {
	message any
	err     error
}

// codec is the codec of protobuf, which also decodes into targets.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	t, ok := v.(*target)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	t.err = c.CodecV2.Unmarshal(data, t.message)
	return nil
}

// decoding registers services with methods that decode into targets. The server
// must have newCodec.
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
			t := &target{message: req}
			if err := dec(t); err != nil {
				return err
			}
			if t.err != nil {
				return status.Errorf(codes.InvalidArgument, "the request cannot be decoded: %s", t.err)
			}
			return nil
		}, interceptor)
	}
}
