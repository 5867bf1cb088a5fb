package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
	"github.com/tcckit/tcckit/cmd/dtm-server/certs/certstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity opens files of a certificate; a failure to read them again fails the test.
func identity(t *testing.T, files certs.Files) *certs.Identity {
	t.Helper()
	i, err := certs.OpenEager(files, func(err error) { t.Errorf("%v", err) })
	require.NoError(t, err)
	return i
}

// serve starts a gRPC server with health checks, for certain callers, and returns its address.
func serve(t *testing.T, i *certs.Identity, callers ...string) string {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	who := certs.Callers{Names: callers}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(i.Server(true, "h2"))), grpc.UnaryInterceptor(who.Unary), grpc.StreamInterceptor(who.Stream))
	healthpb.RegisterHealthServer(server, health.NewServer())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	return listener.Addr().String()
}

func dial(t *testing.T, addr string, creds credentials.TransportCredentials) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.Dial(addr, grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return healthpb.NewHealthClient(conn)
}

// call returns how a call over a new connection, or an open one, ends.
func call(t *testing.T, client healthpb.HealthClient) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func TestBothShowACertificateOfTheCA(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewCA(t), certstest.NewCA(t)
	addr := serve(t, identity(t, ca.Issue(t, "dtm", "127.0.0.1")))
	require.NoError(t, call(t, dial(t, addr, identity(t, ca.Issue(t, "order")).Credentials())))

	stranger := other.Issue(t, "order")
	require.ErrorContains(t, call(t, dial(t, addr, identity(t, stranger).Credentials())), "unknown authority")
	certstest.Trust(t, stranger.CA, ca, other) // now it trusts the server, but not the other way round
	require.Equal(t, codes.Unavailable, status.Code(call(t, dial(t, addr, identity(t, stranger).Credentials()))))
	nobody := &tls.Config{RootCAs: pool(t, stranger.CA), MinVersion: tls.VersionTLS13}
	require.Equal(t, codes.Unavailable, status.Code(call(t, dial(t, addr, credentials.NewTLS(nobody)))))
	require.Equal(t, codes.Unavailable, status.Code(call(t, dial(t, addr, insecure.NewCredentials()))))

	impostor := serve(t, identity(t, ca.Issue(t, "localhost", "127.0.0.2")))
	require.ErrorContains(t, call(t, dial(t, impostor, identity(t, ca.Issue(t, "order")).Credentials())), "127.0.0.1")
}

func TestOldProtocolsAreRefused(t *testing.T) {
	t.Parallel()
	ca := certstest.NewCA(t)
	files := ca.Issue(t, "dtm", "127.0.0.1")
	addr := serve(t, identity(t, files))
	config := identity(t, files).Client()
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	require.ErrorContains(t, call(t, dial(t, addr, credentials.NewTLS(config))), "protocol version")
}

func TestCallersByName(t *testing.T) {
	t.Parallel()
	ca := certstest.NewCA(t)
	addr := serve(t, identity(t, ca.Issue(t, "dtm", "127.0.0.1")), "order", "spiffe://shop/ops")
	for name, want := range map[string]codes.Code{
		"order": codes.OK, "spiffe://shop/ops": codes.OK,
		"account": codes.PermissionDenied, "Order": codes.PermissionDenied, "*": codes.PermissionDenied, "127.0.0.1": codes.PermissionDenied,
	} {
		client := dial(t, addr, identity(t, ca.Issue(t, name)).Credentials())
		err := call(t, client)
		require.Equal(t, want, status.Code(err), "%s: %v", name, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Equal(t, want, status.Code(err), "%s: %v", name, err)
	}
	_, err := dial(t, addr, identity(t, ca.Issue(t, "account", "x")).Credentials()).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.ErrorContains(t, err, `the certificate of ["account" "x"] may not call this server`)
}

func TestCallersByHTTP(t *testing.T) {
	t.Parallel()
	ca := certstest.NewCA(t)
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var refused []string
	server := &http.Server{
		ReadHeaderTimeout: time.Second, TLSConfig: identity(t, ca.Issue(t, "127.0.0.1")).Server(true, "h2", "http/1.1"),
		Handler: certs.Callers{Names: []string{"ops"}, Report: func(err error) { refused = append(refused, err.Error()) }}.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) })),
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.ServeTLS(listener, "", "") })
	t.Cleanup(func() { _ = server.Close(); wg.Wait() })
	for name, want := range map[string]int{"ops": http.StatusOK, "order": http.StatusForbidden} {
		transport := &http.Transport{TLSClientConfig: identity(t, ca.Issue(t, name)).Client(), ForceAttemptHTTP2: true}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+listener.Addr().String(), nil)
		require.NoError(t, err)
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode)
		require.Equal(t, 2, response.ProtoMajor)
		transport.CloseIdleConnections()
	}
	require.Len(t, refused, 1)
	require.Regexp(t, `^refused a call from 127\.0\.0\.1:\d+: the certificate of \["order"\] may not call`, refused[0])
}

// A certificate is replaced, then the CA; what is connected lives on.
func TestReplacedFiles(t *testing.T) {
	t.Parallel()
	first, second := certstest.NewCA(t), certstest.NewCA(t)
	serverFiles, clientFiles := first.Issue(t, "127.0.0.1"), first.Issue(t, "order")
	addr := serve(t, identity(t, serverFiles))
	old := identity(t, clientFiles).Credentials()
	established := dial(t, addr, old)
	require.NoError(t, call(t, established))

	first.Replace(t, serverFiles, "127.0.0.2") // which the client does not ask for
	require.ErrorContains(t, call(t, dial(t, addr, old)), "127.0.0.1")
	require.NoError(t, call(t, established))

	second.Replace(t, serverFiles, "127.0.0.1")
	certstest.Trust(t, serverFiles.CA, first, second)
	require.ErrorContains(t, call(t, dial(t, addr, old)), "unknown authority")
	certstest.Trust(t, clientFiles.CA, first, second)
	require.NoError(t, call(t, dial(t, addr, old)), "the same credentials take the files as they are")
	certstest.Trust(t, serverFiles.CA, second)
	require.Error(t, call(t, dial(t, addr, old)))
	second.Replace(t, clientFiles, "order")
	require.NoError(t, call(t, dial(t, addr, old)))
	require.NoError(t, call(t, established))
}

func TestWhatIsMeasured(t *testing.T) {
	t.Parallel()
	ca := certstest.NewCA(t)
	files := ca.Issue(t, "dtm")
	i, err := certs.OpenEager(files, func(error) {})
	require.NoError(t, err)
	require.WithinRange(t, i.NotAfter(), time.Now(), time.Now().Add(2*time.Hour))
	require.Zero(t, i.Failed())
	require.NoError(t, os.Truncate(files.Key, 0))
	require.NotZero(t, i.NotAfter())
	require.NotZero(t, i.NotAfter())
	require.Equal(t, int64(2), i.Failed(), "each look counts")
}

func TestFilesThatAreNoCertificates(t *testing.T) {
	t.Parallel()
	ca := certstest.NewCA(t)
	files, others, strangers := ca.Issue(t, "a"), ca.Issue(t, "b"), certstest.NewCA(t).Issue(t, "a")
	for name, test := range map[string]struct {
		files certs.Files
		want  string
	}{
		"missing":           {certs.Files{Cert: "nothing.crt", Key: files.Key, CA: files.CA}, "nothing.crt"},
		"key of another":    {certs.Files{Cert: files.Cert, Key: others.Key, CA: files.CA}, "private key does not match"},
		"a key for a CA":    {certs.Files{Cert: files.Cert, Key: files.Key, CA: files.Key}, "no certificate in the CA file"},
		"the CA of another": {certs.Files{Cert: files.Cert, Key: files.Key, CA: strangers.CA}, "others would refuse it"},
		"certificate twice": {certs.Files{Cert: files.Cert, Key: files.Cert, CA: files.CA}, files.Cert},
	} {
		_, err := certs.Open(test.files, nil)
		require.ErrorContains(t, err, test.want, name)
	}
}

func pool(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	p := x509.NewCertPool()
	require.True(t, p.AppendCertsFromPEM(content))
	return p
}
