package certs

import (
	"context"
	"crypto/x509"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer returns the certificate of the caller whose call ctx is, nil if it has
// shown none or none of the CA.
func Peer(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// Identities are the DNS names and URIs in the caller's certificate: who calls.
// There is none for a caller without a certificate of the CA. They are to be
// compared exactly: a certificate for *.shop is not that of order.shop.
func Identities(ctx context.Context) []string {
	c := Peer(ctx)
	if c == nil {
		return nil
	}
	return identities(c)
}
