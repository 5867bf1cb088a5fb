package rpc_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/rpc"
)

// probed is a health listener of a process that takes work or not.
type probed struct {
	client healthpb.HealthClient
	conn   *grpc.ClientConn
	away   atomic.Bool
	stop   func()
}

func serveHealth(t *testing.T) *probed {
	t.Helper()
	p := &probed{}
	h := rpc.NewHealthServer(func(context.Context) error {
		if p.away.Load() {
			return errors.New("the database is away")
		}
		return nil
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	stopped := false
	p.stop = func() {
		if !stopped {
			stopped = true
			h.Stop()
			require.NoError(t, <-served)
		}
	}
	t.Cleanup(p.stop)
	p.conn = dialWith(t, l.Addr().String(), rpc.DialConfig{})
	p.client = healthpb.NewHealthClient(p.conn)
	return p
}

func TestHealthListener(t *testing.T) {
	t.Parallel()
	p := serveHealth(t)
	check := func(service string) healthpb.HealthCheckResponse_ServingStatus {
		resp, err := p.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return resp.GetStatus()
	}
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, check(""))
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, check(rpc.LivenessService))
	p.away.Store(true)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, check(""))
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, check(rpc.LivenessService), "a process whose database is away is not to be restarted")
	_, err := p.client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "livenes"})
	requireStatus(t, err, codes.NotFound, "unknown service")

	_, err = accountpb.NewAccountServiceClient(p.conn).GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
	requireStatus(t, err, codes.Unimplemented, "unknown service")
	err = p.conn.Invoke(t.Context(), "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{})
	requireStatus(t, err, codes.Unimplemented, "unknown service")
}

func TestHealthListenerTellsWhoWatches(t *testing.T) {
	t.Parallel()
	p := serveHealth(t)
	watch, err := p.client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	next := func() healthpb.HealthCheckResponse_ServingStatus {
		resp, err := watch.Recv()
		require.NoError(t, err)
		return resp.GetStatus()
	}
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, next())
	p.away.Store(true)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, next())
	p.stop()
	_, err = watch.Recv()
	requireStatus(t, err, codes.Unavailable, "")
}
