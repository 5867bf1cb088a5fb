package mysql_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
)

// wire records the queries that are sent to a server. The client of this
// protocol waits for the answer to each packet, so one write is one round trip.
type wire struct {
	mu    sync.Mutex
	trips []string
}

// record makes cfg's connections record what they send.
func record(t *testing.T, cfg *mysqldriver.Config) *wire {
	w := new(wire)
	name := "wire" + strings.ReplaceAll(t.Name(), "/", "")
	mysqldriver.RegisterDialContext(name, func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &recordedConn{Conn: c, wire: w}, nil
	})
	t.Cleanup(func() { mysqldriver.DeregisterDialContext(name) })
	cfg.Net = name
	return w
}

// begin forgets what was recorded.
func (w *wire) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trips = nil
}

// with returns the round trips whose text has all of parts, in their order.
func (w *wire) with(parts ...string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
trips:
	for _, text := range w.trips {
		for _, part := range parts {
			if !strings.Contains(text, part) {
				continue trips
			}
		}
		found = append(found, text)
	}
	return found
}

// recordedConn is a connection of a wire.
type recordedConn struct {
	net.Conn
	wire *wire
}

const (
	packetHeader = 4
	comQuery     = 3
)

func (c *recordedConn) Write(p []byte) (int, error) {
	if len(p) > packetHeader && p[packetHeader] == comQuery {
		c.wire.mu.Lock()
		c.wire.trips = append(c.wire.trips, string(p[packetHeader+1:]))
		c.wire.mu.Unlock()
	}
	return c.Conn.Write(p)
}
