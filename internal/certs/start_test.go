package certs_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/internal/certs"
	"github.com/tcckit/tcckit/internal/certs/certstest"
)

func withAuthority(name string) grpc.DialOption { return grpc.WithAuthority(name) }

func pair(p certstest.Pair) *certstest.Pair { return &p }

// certificate reads the first one of a file.
func certificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	c, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return c
}

// What is wrong at the start is said with the file and what to do.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	ca, other := certstest.NewAuthority(t), certstest.NewAuthority(t)
	good := ca.Issue(t, "order")
	expired := ca.IssueLeaf(t, certstest.Leaf{Names: []string{"order"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	later := ca.IssueLeaf(t, certstest.Leaf{Names: []string{"order"}, NotBefore: time.Now().Add(time.Hour)})
	serverOnly := ca.IssueLeaf(t, certstest.Leaf{Names: []string{"order"}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	encrypted := []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for name, test := range map[string]struct {
		cert, key, ca []byte
		want          string
	}{
		"no certificate":         {nil, good.Key, ca.PEM(), "tls.crt: no such file"},
		"no key":                 {good.Cert, nil, ca.PEM(), "tls.key: no such file"},
		"no CA":                  {good.Cert, good.Key, nil, "ca.crt: no such file"},
		"no PEM":                 {[]byte("x"), good.Key, ca.PEM(), "tls.crt holds no certificate in PEM"},
		"swapped":                {good.Key, good.Cert, ca.PEM(), "tls.crt holds no certificate in PEM"},
		"a key that is none":     {good.Cert, good.Cert, ca.PEM(), "tls.key holds no private key in PEM"},
		"a key with passphrase":  {good.Cert, encrypted, ca.PEM(), "without a passphrase"},
		"another one's key":      {good.Cert, ca.Issue(t, "order").Key, ca.PEM(), "is not that of the certificate in"},
		"a CA that is none":      {good.Cert, good.Key, good.Key, "ca.crt holds no certificate in PEM"},
		"a CA that did not sign": {good.Cert, good.Key, other.PEM(), "has signed the certificate in"},
		"expired":                {expired.Cert, expired.Key, ca.PEM(), "has expired on"},
		"not valid yet":          {later.Cert, later.Key, ca.PEM(), "check the clock"},
		"for servers only":       {serverOnly.Cert, serverOnly.Key, ca.PEM(), `"client auth"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := certstest.In(t.TempDir())
			for path, text := range map[string][]byte{files.Cert: test.cert, files.Key: test.key, files.CA: test.ca} {
				if text != nil {
					certstest.Replace(t, path, text)
				}
			}
			_, err := certs.Open(certs.Config{Files: files})
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), string(good.Key[40:80]))
		})
	}
	t.Run("without a name", func(t *testing.T) {
		t.Parallel()
		_, err := certs.Open(certs.Config{Files: ca.Files(t)})
		require.ErrorContains(t, err, "has neither DNS names nor URIs")
	})
	t.Run("all that is missing", func(t *testing.T) {
		t.Parallel()
		_, err := certs.Open(certs.Config{Files: certstest.In("/nowhere")})
		require.ErrorContains(t, err, "tls.crt")
		require.ErrorContains(t, err, "tls.key")
		require.ErrorContains(t, err, "ca.crt")
	})
	t.Run("not all three", func(t *testing.T) {
		t.Parallel()
		_, err := certs.Open(certs.Config{Files: certs.Files{Cert: "a", Key: "b"}})
		require.ErrorContains(t, err, "give the paths of all three")
	})
}
