package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/internal/certs/certstest"
)

func TestCallersAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	s := serve(t, ca.Source(t, "account").Server())
	require.NoError(t, check(t, dial(t, s.addr, ca.Source(t, "order", "order.shop.svc", "spiffe://shop/order").Client())))
	require.Equal(t, []string{"order", "order.shop.svc", "spiffe://shop/order"}, s.last())
}

// raw are credentials of a client that keeps to no rule.
func raw(t *testing.T, ca *certstest.Authority, pair *certstest.Pair) credentials.TransportCredentials {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	require.True(t, config.RootCAs.AppendCertsFromPEM(ca.PEM()))
	if pair != nil {
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		require.NoError(t, err)
		config.Certificates = []tls.Certificate{certificate}
	}
	return credentials.NewTLS(config)
}

func TestServersRefuse(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewAuthority(t), certstest.NewAuthority(t)
	s := serve(t, ca.Source(t, "account").Server())
	issue := func(from *certstest.Authority, leaf certstest.Leaf) *certstest.Pair {
		leaf.Names = []string{"order"}
		pair := from.IssueLeaf(t, leaf)
		return &pair
	}
	hour := func(n int) time.Time { return time.Now().Add(time.Duration(n) * time.Hour) }
	for name, creds := range map[string]credentials.TransportCredentials{
		"no TLS":                        nil,
		"no certificate":                raw(t, ca, nil),
		"one of another CA":             raw(t, ca, issue(other, certstest.Leaf{})),
		"one that has expired":          raw(t, ca, issue(ca, certstest.Leaf{NotBefore: hour(-2), NotAfter: hour(-1)})),
		"one that is not valid yet":     raw(t, ca, issue(ca, certstest.Leaf{NotBefore: hour(1)})),
		"one that is only for a server": raw(t, ca, issue(ca, certstest.Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})),
	} {
		t.Run(name, func(t *testing.T) {
			err := check(t, dial(t, s.addr, creds))
			require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		})
	}
	require.NoError(t, check(t, dial(t, s.addr, raw(t, ca, issue(ca, certstest.Leaf{})))))
	require.Len(t, s.callers, 1)
}

func TestClientsRefuse(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewAuthority(t), certstest.NewAuthority(t)
	here, there := serve(t, ca.Source(t, "account").Server()), serve(t, other.Source(t, "account").Server())
	client := ca.Source(t, "order").Client()

	err := check(t, dial(t, there.addr, client))
	require.ErrorContains(t, err, "certificate signed by unknown authority")
	err = check(t, dial(t, here.addr, client, grpc.WithAuthority("stock")))
	require.ErrorContains(t, err, "certificate is valid for account, not stock")
	require.NoError(t, check(t, dial(t, here.addr, client, grpc.WithAuthority("account"))))
	require.Empty(t, there.callers)
}

func TestPublicServersAskForNoCertificate(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	s := serve(t, ca.Source(t, "order").Public())
	require.NoError(t, check(t, dial(t, s.addr, raw(t, ca, nil))))
	require.Empty(t, s.last())
	require.Equal(t, codes.Unavailable, status.Code(check(t, dial(t, s.addr, nil))), "without TLS")
	// One that is shown without being asked for proves nothing.
	require.NoError(t, check(t, dial(t, s.addr, ca.Source(t, "dtm").Client())))
	require.Empty(t, s.last())
}

func TestAProcessKnowsItself(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	self := ca.Source(t, "account")
	mine, others := serve(t, self.Server()), serve(t, ca.Source(t, "account").Server())
	require.NoError(t, check(t, dial(t, mine.addr, self.Loopback(), grpc.WithAuthority("whatever"))), "its address is not among its names")
	err := check(t, dial(t, others.addr, self.Loopback()))
	require.ErrorContains(t, err, "is not this process", "a certificate with the same name is not its own")
}

func TestHTTPClient(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewAuthority(t), certstest.NewAuthority(t)
	dtm := ca.Issue(t, "dtm")
	certificate, err := tls.X509KeyPair(dtm.Cert, dtm.Key)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca.PEM()))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].DNSNames[0])
	}))
	s.Config.ErrorLog = discard()
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)

	resp, err := ca.Source(t, "order").HTTPClient(bound).Get(s.URL)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "order", string(body))
	_, err = other.Source(t, "order").HTTPClient(bound).Get(s.URL)
	require.ErrorContains(t, err, "unknown authority")
}
