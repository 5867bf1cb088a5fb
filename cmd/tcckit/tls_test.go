package main

import (
	"github.com/tcckit/tcckit/internal/certs"
)

// tlsArguments are the flags of mutual TLS.
func tlsArguments(f certs.Files) []string {
	return []string{"--tls-cert=" + f.Cert, "--tls-key=" + f.Key, "--tls-ca=" + f.CA}
}
