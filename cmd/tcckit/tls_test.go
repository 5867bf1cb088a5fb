package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/certs/certstest"
)

// tlsArguments are the flags of mutual TLS.
func tlsArguments(f certs.Files) []string {
	return []string{"--tls-cert=" + f.Cert, "--tls-key=" + f.Key, "--tls-ca=" + f.CA}
}

// serveByTLS serves account with mutual TLS.
func serveByTLS(t *testing.T, ca *certstest.Authority, args ...string) (*command, addresses) {
	t.Helper()
	c := start(t, nil, append(append([]string{
		"serve", "account", "--account-db=sqlite:" + filepath.Join(t.TempDir(), "account.db"), "--migrate",
		"--listen=127.0.0.1:0", "--listen-internal=127.0.0.1:0", "--admin=127.0.0.1:0", "--listen-health=127.0.0.1:0",
	}, tlsArguments(ca.Files(t, "account"))...), args...)...)
	return c, c.serving()
}

// answers tells whether there is an answer to a read at addr, and what went wrong.
func answers(t *testing.T, addr string, creds credentials.TransportCredentials) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds), grpc.WithNoProxy())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = accountpb.NewAccountServiceClient(conn).GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: "nobody"})
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

// anonymous are the credentials of a client without a certificate.
func anonymous(t *testing.T, ca *certstest.Authority) credentials.TransportCredentials {
	t.Helper()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca.PEM()))
	return credentials.NewTLS(&tls.Config{RootCAs: roots})
}

func TestAddressesByTLS(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	ops, nobody, plain := ca.Source(t, "ops").Client(), anonymous(t, ca), insecure.NewCredentials()
	for name, test := range map[string]struct {
		args   []string
		public map[string]bool // who gets an answer there
	}{
		"as it is":         {nil, map[string]bool{"ops": true, "nobody": true, "plain": false}},
		"behind a gateway": {[]string{"--public-plaintext"}, map[string]bool{"ops": false, "nobody": false, "plain": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, at := serveByTLS(t, ca, test.args...)
			for who, creds := range map[string]credentials.TransportCredentials{"ops": ops, "nobody": nobody, "plain": plain} {
				err := answers(t, at.Public, creds)
				require.Equal(t, test.public[who], err == nil, "%s at the public address: %v", who, err)
				err = answers(t, at.Internal, creds)
				require.Equal(t, who == "ops", err == nil, "%s at the internal address: %v", who, err)
			}
		})
	}
}

// A process that is told to end says so to probes at once, and takes calls for a while.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	c, at := serveByTLS(t, ca, "--drain-delay=10h")
	probe := healthpb.NewHealthClient(dial(t, at.Health))
	health := func(client healthpb.HealthClient, service string) healthpb.HealthCheckResponse_ServingStatus {
		resp, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return resp.GetStatus()
	}
	ops := ca.Source(t, "ops").Client()
	conn, err := grpc.NewClient(at.Internal, grpc.WithTransportCredentials(ops), grpc.WithNoProxy())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	internal := healthpb.NewHealthClient(conn)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health(probe, ""))
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health(internal, ""))

	c.signal(syscall.SIGTERM)
	c.eventually("probes learn of it", func() bool { return health(probe, "") == healthpb.HealthCheckResponse_NOT_SERVING })
	c.eventually("who watches the address does", func() bool { return health(internal, "") == healthpb.HealthCheckResponse_NOT_SERVING })
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health(probe, "liveness"))
	_, body := get(t, "http://"+at.Admin+"/readyz")
	require.Equal(t, "draining\n", body)
	require.NoError(t, answers(t, at.Internal, ops), "new calls, over new connections, are taken")
	require.NoError(t, answers(t, at.Public, ops))
	require.False(t, c.ended())

	c.signal(syscall.SIGTERM)
	require.Equal(t, 128+int(syscall.SIGTERM), c.code())
}

func TestAnOrderlyEndAfterTheDrainDelay(t *testing.T) {
	t.Parallel()
	c, _ := serveByTLS(t, certstest.NewAuthority(t), "--drain-delay=50ms")
	c.signal(syscall.SIGTERM)
	require.Equal(t, 0, c.code())
	require.Contains(t, c.log.String(), "calls are still taken")
}
