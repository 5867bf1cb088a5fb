package coordinator_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/internal/freeport"
)

// refusing returns an address on which nothing listens.
func refusing(t testing.TB) string {
	t.Helper()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// grpcCode is the code that a caller would see if a handler returned err.
func grpcCode(err error) codes.Code { return status.Code(err) }

// awaitDisconnected waits until a connection has noticed that it is broken.
func awaitDisconnected(t testing.TB, conn *grpc.ClientConn) {
	t.Helper()
	eventually(t, func() bool { return conn.GetState() != connectivity.Ready }, "the connection is still there")
}
