package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// set is what the files hold, once it was found to belong together.
type set struct {
	contents *contents
	own      tls.Certificate // with its leaf
	roots    *x509.CertPool
}

// parse says of contents that do not make a set which file is at fault, and what
// to do about it. It never puts any of a key into an error.
func parse(files Files, c *contents, now time.Time) (*set, error) {
	s := &set{contents: c, roots: x509.NewCertPool()}
	chain, err := certificates(files.Cert, c.cert)
	if err != nil {
		return nil, err
	}
	authorities, err := certificates(files.CA, c.ca)
	if err != nil {
		return nil, err
	}
	for _, ca := range authorities {
		s.roots.AddCert(ca)
	}
	if !holdsKey(c.key) {
		return nil, fmt.Errorf("certs: %s holds no private key in PEM without a passphrase (-----BEGIN PRIVATE KEY-----)", files.Key)
	}
	if s.own, err = tls.X509KeyPair(c.cert, c.key); err != nil {
		return nil, fmt.Errorf("certs: the key in %s is not that of the certificate in %s: give the two that were issued together: %w", files.Key, files.Cert, err)
	}
	s.own.Leaf = chain[0]
	if err := s.verify(files, chain[1:], now); err != nil {
		return nil, err
	}
	return s, nil
}

// verify wants a certificate that the others, who trust the same CA, will
// accept.
func (s *set) verify(files Files, intermediates []*x509.Certificate, now time.Time) error {
	leaf := s.own.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("certs: the certificate in %s has expired on %s: renew it", files.Cert, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("certs: the certificate in %s is valid only from %s: check the clock of this machine", files.Cert, leaf.NotBefore.UTC().Format(time.RFC3339))
	case len(identities(leaf)) == 0:
		return fmt.Errorf("certs: the certificate in %s has neither DNS names nor URIs (its common name does not count): issue it with the names of its service", files.Cert)
	}
	pool := x509.NewCertPool()
	for _, c := range intermediates {
		pool.AddCert(c)
	}
	options := x509.VerifyOptions{Roots: s.roots, Intermediates: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("certs: no CA in %s has signed the certificate in %s: give the CA's own certificate, and in %s also those between the two: %w", files.CA, files.Cert, files.Cert, err)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		options.KeyUsages = []x509.ExtKeyUsage{usage}
		if _, err := leaf.Verify(options); err != nil {
			return fmt.Errorf("certs: the certificate in %s is not for both servers and clients: issue it with the extended key usages \"server auth\" and \"client auth\": %w", files.Cert, err)
		}
	}
	return nil
}

// certificates are those of a PEM file.
func certificates(path string, text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certs: certificate %d in %s cannot be read: %w", len(list)+1, path, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("certs: %s holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", path)
	}
	return list, nil
}

// holdsKey tells whether there is a private key that can be read without a
// passphrase.
func holdsKey(text []byte) bool {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		encrypted := block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
		if strings.HasSuffix(block.Type, "PRIVATE KEY") && !encrypted {
			return true
		}
	}
}

// fingerprint tells certificates apart.
func fingerprint(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.Raw) }

// identities are the names in a certificate by which its owner is known.
func identities(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, uri := range c.URIs {
		names = append(names, uri.String())
	}
	return names
}

// errNotOwn says that somebody else answers where this process should.
var errNotOwn = errors.New("certs: what answers there is not this process: its certificate is another one")
