package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// LivenessService is the service that a [HealthServer] says serves as long as
// the process runs.
const LivenessService = "liveness"

// watchPause is the time between two looks for those who watch.
const watchPause = time.Second

// HealthServer serves grpc.health.v1.Health and nothing else, in plaintext, for
// probes that know no TLS, as Kubernetes' do. Service "" tells whether the
// process takes work, [LivenessService] that it runs, and no other is known.
type HealthServer struct {
	grpc_health_v1.UnimplementedHealthServer
	grpc  *grpc.Server
	ready func(context.Context) error
	ended chan struct{}
}

// NewHealthServer returns a server that asks ready, which returns nil when the
// process takes work.
func NewHealthServer(ready func(context.Context) error) *HealthServer {
	h := &HealthServer{grpc: grpc.NewServer(), ready: ready, ended: make(chan struct{})}
	grpc_health_v1.RegisterHealthServer(h.grpc, h)
	return h
}

// Serve answers on l until Stop, which it reports as nil. It is called once.
func (h *HealthServer) Serve(l net.Listener) error {
	if err := h.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("rpc: health listener: %w", err)
	}
	return nil
}

// Stop ends Serve and cuts off who watches. It is called once.
func (h *HealthServer) Stop() {
	close(h.ended)
	h.grpc.Stop()
}

// Check implements grpc.health.v1.Health.
func (h *HealthServer) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	st := h.of(ctx, req.GetService())
	if st == grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "unknown service %q: want \"\" or %q", req.GetService(), LivenessService)
	}
	return &grpc_health_v1.HealthCheckResponse{Status: st}, nil
}

// Watch implements grpc.health.v1.Health.
func (h *HealthServer) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	for last := grpc_health_v1.HealthCheckResponse_UNKNOWN; ; {
		if now := h.of(stream.Context(), req.GetService()); now != last {
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-tick.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-h.ended:
			return status.Error(codes.Unavailable, "the process ends")
		}
	}
}

func (h *HealthServer) of(ctx context.Context, service string) grpc_health_v1.HealthCheckResponse_ServingStatus {
	switch {
	case service == LivenessService, service == "" && h.ready(ctx) == nil:
		return grpc_health_v1.HealthCheckResponse_SERVING
	case service == "":
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	default:
		return grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
	}
}
