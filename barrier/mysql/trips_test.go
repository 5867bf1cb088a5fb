package mysql_test

import (
	"context"
	"net"
	"sync/atomic"

	mysqldriver "github.com/go-sql-driver/mysql"
)

func countingDialer(n *atomic.Int64) mysqldriver.DialContextFunc {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &countingConn{Conn: c, n: n}, nil
	}
}

// countingConn counts the writes on a connection.
type countingConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}
