package participants

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// acquire returns the connection to server, opened if there is none. It must be released.
func (c *Caller) acquire(server string) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, status.Error(codes.Unavailable, "dtm-server is stopping")
	}
	conn := c.open[server]
	if conn == nil {
		if len(c.open) >= c.cfg.limits.connections && !c.closeLeastUsed() {
			return nil, status.Errorf(codes.Unavailable, "%d participants are being called already", len(c.open))
		}
		var err error
		if conn, err = c.dial(server, &suspension{}); err != nil {
			return nil, err
		}
		c.open[server] = conn
	}
	conn.users++
	return conn, nil
}

// renew replaces a connection by a new one, which asks DNS again and does not pause before it tries. It must be
// released instead of the old one, also after an error.
func (c *Caller) renew(old *connection) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.open[old.server] != old {
		return old, nil
	}
	conn, err := c.dial(old.server, old.suspension)
	if err != nil {
		return old, err
	}
	c.retire(old)
	c.open[conn.server] = conn
	c.leave(old)
	conn.users++
	return conn, nil
}

func (c *Caller) release(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave(conn)
}

func (c *Caller) leave(conn *connection) {
	conn.users--
	conn.used = time.Now()
	if conn.users == 0 && c.retired[conn] {
		delete(c.retired, conn)
		conn.close()
	}
}

// closeLeastUsed makes room by closing the connection that has been idle for longest; false: none is idle.
func (c *Caller) closeLeastUsed() bool {
	var oldest *connection
	for _, conn := range c.open {
		if conn.users == 0 && (oldest == nil || conn.used.Before(oldest.used)) {
			oldest = conn
		}
	}
	if oldest == nil {
		return false
	}
	c.retire(oldest)
	return true
}

// retire takes a connection out of use. Calls that are under way end on it.
func (c *Caller) retire(conn *connection) {
	delete(c.open, conn.server)
	if conn.users == 0 {
		conn.close()
		return
	}
	c.retired[conn] = true
}

func (c *Caller) sweepUntilClosed() {
	ticker := time.NewTicker(c.cfg.limits.sweep)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-ticker.C:
			c.sweep(now)
		}
	}
}

// sweep retires connections that are idle, or so old that the participant may have replicas by now that they do
// not reach: gRPC asks DNS again only when an address fails.
func (c *Caller) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		idle := conn.users == 0 && now.Sub(conn.used) >= c.cfg.limits.idle
		if idle || now.Sub(conn.opened) >= c.cfg.limits.age {
			c.retire(conn)
		}
	}
}
