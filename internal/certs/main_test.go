package certs_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tcckit/tcckit/internal/certs"
)

// bound is how long a test waits for anything.
const bound = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers health checks and remembers who asked, and over how many connections.
type server struct {
	addr string

	mu          sync.Mutex
	callers     [][]string
	connections int
}

func serve(t *testing.T, creds credentials.TransportCredentials) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: l.Addr().String()}
	g := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		s.mu.Lock()
		s.callers = append(s.callers, certs.Identities(ctx))
		s.mu.Unlock()
		return handler(ctx, req)
	}))
	healthpb.RegisterHealthServer(g, health.NewServer())
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(counted{l, s}) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return s
}

// counted counts connections.
type counted struct {
	net.Listener
	s *server
}

func (c counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.connections++
	return conn, err
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// last is who called last.
func (s *server) last() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.callers[len(s.callers)-1])
}

// dial returns a connection until the test ends; nil credentials are those of no TLS.
func dial(t *testing.T, addr string, creds credentials.TransportCredentials, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(addr, append(options, grpc.WithTransportCredentials(creds), grpc.WithNoProxy())...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func check(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, bound, 20*time.Millisecond, what)
}
