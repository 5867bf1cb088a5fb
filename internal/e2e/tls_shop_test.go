package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/internal/dtmserver"
)

// ops is whose certificate a person has, and the test.
const ops = "ops"

// security is the mutual TLS of a shop: a certificate each for its services, DTM and ops. The nil security is that
// of a shop without.
type security struct {
	ca    *certstest.Authority
	files map[string]certs.Files // by identity
	ops   *certs.Source
	// clients are those whom DTM serves.
	clients []string
}

// newSecureShop is a direct shop with mutual TLS.
func newSecureShop(t *testing.T, store dtmserver.Store) *shop {
	t.Helper()
	s := buildSecureShop(t, store, order, ops)
	s.startAll(t)
	return s
}

// buildSecureShop is newSecureShop without the start of its services. DTM serves the clients named.
func buildSecureShop(t *testing.T, store dtmserver.Store, clients ...string) *shop {
	t.Helper()
	s := &shop{services: make(map[string]*service), dbs: databases{}, secure: newSecurity(t, services()...)}
	s.secure.clients = clients
	s.build(t, store, newDatabase, true)
	return s
}

func (s *shop) startAll(t *testing.T) {
	t.Helper()
	for _, name := range services() {
		s.services[name].start(t)
	}
}

// newSecurity makes certificates for the services named, DTM and ops.
func newSecurity(t *testing.T, services ...string) *security {
	t.Helper()
	s := &security{ca: certstest.NewAuthority(t), files: make(map[string]certs.Files)}
	dir, err := os.MkdirTemp("", "tcckit-e2e-tls-") // to be gone after the shop
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	for _, name := range append(services, dtm, ops) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		s.files[name] = certstest.In(filepath.Join(dir, name))
		certstest.Write(t, s.files[name], s.ca.Issue(t, name), s.ca)
	}
	s.ops = certstest.Open(t, s.files[ops])
	return s
}

// arguments are those of the service of that name.
func (s *security) arguments(name string) []string {
	if s == nil {
		return nil
	}
	return s.as(name)
}

// as are the flags of who has that certificate.
func (s *security) as(name string) []string {
	f := s.files[name]
	return []string{"--tls-cert=" + f.Cert, "--tls-key=" + f.Key, "--tls-ca=" + f.CA}
}

func (s *security) dtm() *dtmserver.TLS {
	if s == nil {
		return nil
	}
	return &dtmserver.TLS{Server: s.files[dtm], Client: s.ops}
}

// dtmEnvironment are DTM's further settings.
func (s *security) dtmEnvironment() []string {
	if s == nil {
		return nil
	}
	return []string{"TLS_CLIENTS=" + strings.Join(s.clients, ",")}
}

// client are the credentials of the test.
func (s *security) client() credentials.TransportCredentials {
	if s == nil {
		return insecure.NewCredentials()
	}
	return s.ops.Client()
}

// roundTripper is how the test asks by HTTP.
func (s *security) roundTripper() http.RoundTripper {
	if s == nil {
		return &http.Transport{DisableKeepAlives: true} // no proxy
	}
	return s.ops.HTTPClient(bound).Transport
}
