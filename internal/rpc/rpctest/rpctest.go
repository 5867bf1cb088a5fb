// Package rpctest serves services on loopback for tests, and looks at statuses.
package rpctest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/internal/rpc"
)

// drain is how long calls may take to end after a test.
const drain = 10 * time.Second

// Listener listens on loopback.
func Listener(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	require.NoError(t, err)
	return l
}

// Serve serves what register registers on l until the test ends, or stop is
// called.
func Serve(t testing.TB, l net.Listener, cfg rpc.ServerConfig, register ...func(grpc.ServiceRegistrar)) (stop func()) {
	t.Helper()
	server, err := rpc.NewServer(cfg)
	require.NoError(t, err)
	for _, r := range register {
		r(server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rpc.Serve(ctx, drain, rpc.Binding{Server: server, Listener: l}) // tests cut calls off
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// Dial returns a connection to addr until the test ends.
func Dial(t testing.TB, addr string, interceptors ...grpc.UnaryClientInterceptor) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(addr, rpc.DialConfig{Interceptors: interceptors})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// Reason returns the ErrorInfo of a status: its reason and metadata.
func Reason(err error) (string, map[string]string) {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason(), info.GetMetadata()
		}
	}
	return "", nil
}

// RequireStatus requires an error to be a status of the code and reason.
func RequireStatus(t testing.TB, err error, code codes.Code, reason string) {
	t.Helper()
	require.Error(t, err)
	got, _ := Reason(err)
	require.Equal(t, code, status.Code(err), "%v", err)
	require.Equal(t, reason, got, "%v", err)
}
