package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Callers say who may call.
type Callers struct {
	// Names are their identities, compared exactly. None means whoever has a certificate of our CA.
	Names []string
	// Report receives who else called; nil: nobody.
	Report func(error)
}

// check tells why the peer of a connection, at addr, may not call. The CA of its certificate was verified in the
// handshake.
func (c Callers) check(addr string, state tls.ConnectionState) error {
	err := c.judge(state)
	if err != nil && c.Report != nil {
		c.Report(fmt.Errorf("refused a call from %s: %w", addr, err))
	}
	return err
}

func (c Callers) judge(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("no client certificate was shown")
	}
	names := Names(state.PeerCertificates[0])
	if len(c.Names) == 0 || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(c.Names, name) }) {
		return nil
	}
	return fmt.Errorf("the certificate of %q may not call this server: TLS_CLIENTS lists none of these names", names)
}

// HTTP refuses others by 403.
func (c Callers) HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.check(r.RemoteAddr, *r.TLS); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Unary refuses others by PermissionDenied.
func (c Callers) Unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := c.checkPeer(ctx); err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// Stream refuses others by PermissionDenied.
func (c Callers) Stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := c.checkPeer(stream.Context()); err != nil {
		return err
	}
	return handler(srv, stream)
}

func (c Callers) checkPeer(ctx context.Context) error {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return status.Error(codes.PermissionDenied, "a call without a peer")
	}
	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return status.Error(codes.PermissionDenied, "a call without TLS")
	}
	if err := c.check(from.Addr.String(), info.State); err != nil {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return nil
}
