// Package freeport finds loopback ports for servers that are started here and may be restarted.
package freeport

import (
	"context"
	"errors"
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

var errClaimed = errors.New("it is somebody else's choice, too")

// Loopback returns a TCP port on which nothing listens on 127.0.0.1, and which it has not given to
// anybody else whose process still runs: between the choice of a port and the moment when a child listens
// there, seconds pass. Programs that choose their ports otherwise can still take it.
func Loopback() (int, error) {
	var lc net.ListenConfig
	var err error
	for range tries {
		port := first + rand.IntN(last-first+1)
		var l net.Listener
		l, err = lc.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err = l.Close(); err != nil {
			return 0, fmt.Errorf("freeport: %w", err)
		}
		if claim(port) {
			return port, nil
		}
		err = errClaimed
	}
	return 0, fmt.Errorf("freeport: no free loopback port between %d and %d in %d tries: %w", first, last, tries, err)
}
