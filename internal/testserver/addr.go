package testserver

import (
	"net"
	"strconv"
	"testing"

	"github.com/tcckit/tcckit/internal/freeport"
)

// freeAddr returns a loopback address on which nothing listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	port, err := freeport.Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
