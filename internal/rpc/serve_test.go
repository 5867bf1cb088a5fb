package rpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/rpc"
)

// call begins a call that waits in its handler.
type call struct {
	running chan struct{} // closed by the handler
	end     chan struct{} // to be closed by the test
	err     chan error
}

func begin(t *testing.T, drain time.Duration) (*served, *call) {
	t.Helper()
	c := &call{running: make(chan struct{}), end: make(chan struct{}), err: make(chan error, 1)}
	s := serve(t, rpc.ServerConfig{}, drain, &accounts{get: func(ctx context.Context) error {
		close(c.running)
		select {
		case <-c.end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	go func() {
		_, err := accountpb.NewAccountServiceClient(s.conn).GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
		c.err <- err
	}()
	<-c.running
	return s, c
}

func TestServeWaitsForCallsThatRun(t *testing.T) {
	t.Parallel()
	s, c := begin(t, time.Minute)
	// The stream tells when the server has begun to drain.
	watch, err := healthpb.NewHealthClient(s.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "tcckit.account.v1.AccountService"})
	require.NoError(t, err)
	first, err := watch.Recv()
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, first.GetStatus())
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for err == nil { // it may be told NOT_SERVING before its end
		first, err = watch.Recv()
		require.NotEqual(t, healthpb.HealthCheckResponse_SERVING, first.GetStatus())
	}

	select {
	case err := <-c.err:
		t.Fatalf("the call ended: %v", err)
	default:
	}
	close(c.end)
	require.NoError(t, <-c.err)
	require.NoError(t, <-stopped)
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s, c := begin(t, 50*time.Millisecond)
	require.ErrorIs(t, s.stop(), rpc.ErrDrain)
	require.Equal(t, codes.Unavailable, status.Code(<-c.err))
}

// When one listener fails the other one does not go on alone.
func TestServeEndsWhenOneListenerFails(t *testing.T) {
	t.Parallel()
	var bindings []rpc.Binding
	for range 2 {
		server, err := rpc.NewServer(rpc.ServerConfig{})
		require.NoError(t, err)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		bindings = append(bindings, rpc.Binding{Server: server, Listener: l})
	}
	require.NoError(t, bindings[1].Listener.Close())
	err := rpc.Serve(t.Context(), time.Second, bindings...)
	require.ErrorContains(t, err, bindings[1].Listener.Addr().String())
	_, err = net.Dial("tcp", bindings[0].Listener.Addr().String())
	require.Error(t, err)
}
