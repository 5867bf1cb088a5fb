// Package freeport finds loopback ports for servers that are started here and may be restarted.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The range lies below the ports that systems give to outgoing connections (32768 and up on Linux, 49152
// and up elsewhere). From within that range a port could be taken by a client while its server is down
// for a restart, or a client that dials it in vain could even connect to itself.
const (
	first = 15000
	last  = 32767
	tries = 200
)

// Loopback returns a TCP port on which nothing listens on 127.0.0.1. It is not reserved: whoever binds
// it later than someone else gets an error and should ask for another one.
func Loopback() (int, error) {
	var lc net.ListenConfig
	var err error
	for range tries {
		port := first + rand.IntN(last-first+1)
		var l net.Listener
		l, err = lc.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("freeport: no free loopback port between %d and %d in %d tries: %w", first, last, tries, err)
}
