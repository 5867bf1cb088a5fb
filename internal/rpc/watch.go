package rpc

import (
	"context"

	"google.golang.org/grpc"
)

// watching ends the streams of those who watch the server's health when it
// drains. They would otherwise keep it from ending: a graceful stop waits for
// every stream.
type watching struct {
	drain chan struct{} // closed when the server drains
}

func (w *watching) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !isHealth(info.FullMethod) {
		return handler(srv, ss)
	}
	ctx, cancel := context.WithCancel(ss.Context())
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-w.drain:
			cancel()
		case <-ended:
		}
	}()
	return handler(srv, &endedStream{ServerStream: ss, ctx: ctx})
}

// endedStream is a stream with a context that can end before it.
type endedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // as grpc.ServerStream does
}

func (s *endedStream) Context() context.Context { return s.ctx }
