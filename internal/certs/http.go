package certs

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// HTTPClient returns a client for https URLs that wants a certificate of the CA
// with the name in the URL, and shows its own. It keeps no connection open, so
// that there is nothing to close, and knows no proxy. One request takes at most
// the time given.
func (s *Source) HTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialTLSContext: s.dial, DisableKeepAlives: true}}
}

// dial makes each connection with the files as they are then.
func (s *Source) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := tls.Dialer{Config: s.current().client()} // it takes the name from addr
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		s.handshakeFailed("client", addr, err)
	}
	return conn, err
}
