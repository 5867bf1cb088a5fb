package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// Server are the credentials of a gRPC server that demands of its clients a
// certificate of the CA. [Identities] tells who they are.
func (s *Source) Server() credentials.TransportCredentials {
	return &reloading{source: s, config: (*set).server}
}

// Public are the credentials of a gRPC server that asks its clients for no
// certificate.
func (s *Source) Public() credentials.TransportCredentials {
	return &reloading{source: s, config: (*set).public}
}

// Client are the credentials of a gRPC client: it wants a certificate of the CA
// with the name that it dialled, and shows its own.
func (s *Source) Client() credentials.TransportCredentials {
	return &reloading{source: s, config: (*set).client}
}

// Loopback are the credentials of a process that calls itself, at an address
// that need not be among its names: it wants its own certificate, of which only
// it and its replicas have the key.
func (s *Source) Loopback() credentials.TransportCredentials {
	return &reloading{source: s, config: func(now *set) *tls.Config { return now.loopback(s) }}
}

func (s *set) server() *tls.Config {
	c := s.public()
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, s.roots
	return c
}

func (s *set) public() *tls.Config {
	// A resumed session would live by a ticket in place of the certificates.
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{s.own}, SessionTicketsDisabled: true}
}

func (s *set) client() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{s.own}, RootCAs: s.roots}
}

func (s *set) loopback(source *Source) *tls.Config {
	c := s.client()
	c.InsecureSkipVerify = true // it is not the CA and the name that count, but the very certificate
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 || !source.Own(state.PeerCertificates[0]) {
			return errNotOwn
		}
		return nil
	}
	return c
}

// reloading makes each handshake with the files as they are then.
type reloading struct {
	source *Source
	config func(*set) *tls.Config
}

var _ credentials.TransportCredentials = (*reloading)(nil)

func (r *reloading) now() credentials.TransportCredentials {
	return credentials.NewTLS(r.config(r.source.current()))
}

// ClientHandshake implements credentials.TransportCredentials.
func (r *reloading) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := r.now().ClientHandshake(ctx, authority, raw)
	if err != nil {
		r.source.handshakeFailed("client", raw.RemoteAddr().String(), err)
	}
	return conn, info, err
}

// ServerHandshake implements credentials.TransportCredentials.
func (r *reloading) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := r.now().ServerHandshake(raw)
	if err != nil {
		r.source.handshakeFailed("server", raw.RemoteAddr().String(), err)
	}
	return conn, info, err
}

// Info implements credentials.TransportCredentials.
func (r *reloading) Info() credentials.ProtocolInfo { return r.now().Info() }

// Clone implements credentials.TransportCredentials.
func (r *reloading) Clone() credentials.TransportCredentials {
	clone := *r
	return &clone
}

// OverrideServerName implements credentials.TransportCredentials; grpc itself
// has no more use for it than grpc.WithAuthority.
func (r *reloading) OverrideServerName(string) error { return errOverride }

var errOverride = errors.New("certs: use grpc.WithAuthority to check for another name than the one that is dialled")
