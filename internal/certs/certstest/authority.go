// Package certstest makes certificates for tests.
package certstest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/certs"
)

// validity is that of a certificate, counted from an hour ago, unless its Leaf
// says otherwise.
const validity = 25 * time.Hour

// Authority is a CA.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes a CA.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "a CA of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(-time.Hour + validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &Authority{certificate: c, key: key}
}

// PEM is the CA's own certificate.
func (a *Authority) PEM() []byte { return block("CERTIFICATE", a.certificate.Raw) }

// Leaf is what a certificate is to say.
type Leaf struct {
	// Names are its identities: DNS names, and URIs, which have "://". It is
	// always for 127.0.0.1 and ::1 as well, which are no identities.
	Names []string
	// NotBefore and NotAfter bound its validity; zero: it is valid now.
	NotBefore, NotAfter time.Time
	// Usages are what it is for; nil: servers and clients.
	Usages []x509.ExtKeyUsage
}

// Pair is a certificate and its key, in PEM.
type Pair struct{ Cert, Key []byte }

// Issue issues a certificate with these identities, valid now.
func (a *Authority) Issue(t testing.TB, names ...string) Pair {
	t.Helper()
	return a.IssueLeaf(t, Leaf{Names: names})
}

// IssueLeaf issues a certificate.
func (a *Authority) IssueLeaf(t testing.TB, leaf Leaf) Pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "a certificate of a test"},
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: leaf.Usages,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = template.NotBefore.Add(validity)
	}
	if template.ExtKeyUsage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, name := range leaf.Names {
		if !strings.Contains(name, "://") {
			template.DNSNames = append(template.DNSNames, name)
			continue
		}
		uri, err := url.Parse(name)
		require.NoError(t, err)
		template.URIs = append(template.URIs, uri)
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return Pair{Cert: block("CERTIFICATE", der), Key: block("PRIVATE KEY", encoded)}
}

// Files issues a certificate with these identities and writes it with its key
// and the CA into a folder of its own, which is removed when the test ends.
func (a *Authority) Files(t testing.TB, names ...string) certs.Files {
	t.Helper()
	files := In(t.TempDir())
	Write(t, files, a.Issue(t, names...), a)
	return files
}

// Source opens what Files writes.
func (a *Authority) Source(t testing.TB, names ...string) *certs.Source {
	t.Helper()
	return Open(t, a.Files(t, names...))
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	require.NoError(t, err)
	return n
}

func block(kind string, der []byte) []byte {
	var text bytes.Buffer
	_ = pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}) // to memory
	return text.Bytes()
}
