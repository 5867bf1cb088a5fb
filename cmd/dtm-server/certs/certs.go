// Package certs is the server's side and the client's side of mutual TLS with one certificate: who connects
// must show a certificate of our CA, and so must those to whom we connect. The files are read again when they
// change; connections that are established live on.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/tcckit/tcckit/cmd/dtm-server/reload"
)

// Files are PEM files: our certificate with its chain, its key, and the certificates of the CAs that we trust;
// the system's are not.
type Files struct{ Cert, Key, CA string }

// Identity is our certificate and whom we trust, as the files have them now.
type Identity struct{ material *reload.Value[material] }

type material struct {
	certificate tls.Certificate
	trusted     *x509.CertPool
}

// Open reads the files. Later failures to read them again are given to report.
func Open(files Files, report func(error)) (*Identity, error) {
	return open(files, reload.Interval, report)
}

func open(files Files, every time.Duration, report func(error)) (*Identity, error) {
	parse := func(contents [][]byte) (material, error) {
		m, err := parse(contents[0], contents[1], contents[2])
		if err != nil {
			return m, fmt.Errorf("certificate %s with key %s and CA %s: %w", files.Cert, files.Key, files.CA, err)
		}
		return m, nil
	}
	value, err := reload.Open(every, parse, report, files.Cert, files.Key, files.CA)
	if err != nil {
		return nil, err
	}
	return &Identity{value}, nil
}

// NotAfter is when the certificate in use expires.
func (i *Identity) NotAfter() time.Time { return i.material.Get().certificate.Leaf.NotAfter }

// Failed is how many looks at the files have found something that cannot be used.
func (i *Identity) Failed() int64 { return i.material.Failed() }

func parse(cert, key, ca []byte) (material, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return material{}, err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(ca) {
		return material{}, errors.New("there is no certificate in the CA file")
	}
	return material{pair, trusted}, verify(pair, trusted)
}

// verify wants a certificate that the others, who trust the same CAs, take from a server and from a client.
func verify(pair tls.Certificate, trusted *x509.CertPool) error {
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for usage, name := range map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "server", x509.ExtKeyUsageClientAuth: "client"} {
		options := x509.VerifyOptions{Roots: trusted, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}
		if _, err := leaf.Verify(options); err != nil {
			return fmt.Errorf("others would refuse it from a %s: %w", name, err)
		}
	}
	return nil
}

// Server is the configuration of a listener. With mutual, clients must show a certificate of our CA; else none
// is asked for. protocols are those of ALPN that it speaks.
func (i *Identity) Server(mutual bool, protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := i.material.Get()
			config := &tls.Config{
				MinVersion: tls.VersionTLS13, NextProtos: protocols, Certificates: []tls.Certificate{now.certificate},
				SessionTicketsDisabled: true, // each handshake is judged by the files as they are
			}
			if mutual {
				config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, now.trusted
			}
			return config, nil
		},
	}
}

// Client is the configuration of one connection that we make.
func (i *Identity) Client() *tls.Config {
	now := i.material.Get()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{now.certificate}, RootCAs: now.trusted,
	}
}

// Credentials are gRPC's, for connections that we make; each handshake takes the files as they are.
func (i *Identity) Credentials() credentials.TransportCredentials {
	return dialer{credentials.NewTLS(i.Client()), i}
}

type dialer struct {
	credentials.TransportCredentials // for all but the handshake

	identity *Identity
}

func (d dialer) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(d.identity.Client()).ClientHandshake(ctx, authority, conn)
}

func (d dialer) Clone() credentials.TransportCredentials {
	return dialer{d.TransportCredentials.Clone(), d.identity}
}

// Names are the identities of who shows a certificate: its DNS names and URIs, as they are written in it.
func Names(certificate *x509.Certificate) []string {
	names := append([]string(nil), certificate.DNSNames...)
	for _, uri := range certificate.URIs {
		names = append(names, uri.String())
	}
	return names
}
