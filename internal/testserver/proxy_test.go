package testserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// echo answers every line with "got LINE" and remembers it.
type echo struct {
	listener net.Listener
	mu       sync.Mutex
	lines    []string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &echo{listener: l}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() { e.serve(conn) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		tasks.Wait()
	})
	return e
}

func (e *echo) serve(conn net.Conn) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		e.mu.Lock()
		e.lines = append(e.lines, lines.Text())
		e.mu.Unlock()
		if _, err := fmt.Fprintf(conn, "got %s\n", lines.Text()); err != nil {
			return
		}
	}
}

func (e *echo) addr() string { return e.listener.Addr().String() }

func (e *echo) got() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.lines...)
}

// client is a line-wise client with a bound on every wait.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	var d net.Dialer
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &client{Conn: conn, r: bufio.NewReader(conn)}
}

func (c *client) send(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
}

func (c *client) line(t *testing.T) string {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	line, err := c.r.ReadString('\n')
	require.NoError(t, err)
	return line
}

// requireCut reads until the connection ends, not by the deadline.
func (c *client) requireCut(t *testing.T) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "the connection is still open")
	require.Empty(t, rest)
}

// requireSilence asserts that nothing comes within a moment. It can only pass wrongly, never fail so.
func (c *client) requireSilence(t *testing.T) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.r.ReadByte()
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "%v", err)
}

func TestProxyForwards(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := testserver.NewProxy(t, e.addr())
	c := dial(t, p.Addr())
	c.send(t, "a\nb\n")
	require.Equal(t, "got a\n", c.line(t))
	require.Equal(t, "got b\n", c.line(t))

	// The end of what the client sends reaches the server, whose end then reaches the client.
	require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
	c.requireCut(t)
}

func TestProxyCutEndsConnectionsAndAcceptsNewOnes(t *testing.T) {
	t.Parallel()
	p := testserver.NewProxy(t, newEcho(t).addr())
	c := dial(t, p.Addr())
	c.send(t, "a\n")
	require.Equal(t, "got a\n", c.line(t))
	p.Cut()
	c.requireCut(t)
	c = dial(t, p.Addr())
	c.send(t, "b\n")
	require.Equal(t, "got b\n", c.line(t))
}

func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	p := testserver.NewProxy(t, newEcho(t).addr())
	p.Refuse()
	p.Refuse()
	var d net.Dialer
	_, err := d.DialContext(t.Context(), "tcp", p.Addr())
	require.ErrorContains(t, err, "refused")

	p.Accept()
	c := dial(t, p.Addr())
	c.send(t, "a\n")
	require.Equal(t, "got a\n", c.line(t))
}

func TestProxyHoldsEverything(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := testserver.NewProxy(t, e.addr())
	before := dial(t, p.Addr())
	before.send(t, "a\n")
	require.Equal(t, "got a\n", before.line(t))

	p.Hold()
	after := dial(t, p.Addr())
	before.send(t, "b\n")
	after.send(t, "c\n")
	before.requireSilence(t)
	after.requireSilence(t)
	require.Equal(t, []string{"a"}, e.got())

	p.Release()
	require.Equal(t, "got b\n", before.line(t))
	require.Equal(t, "got c\n", after.line(t))
}

func TestPointCutBefore(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := testserver.NewProxy(t, e.addr())
	point := p.CutBefore("COMMIT")
	c, other := dial(t, p.Addr()), dial(t, p.Addr())
	for _, c := range []*client{c, other} {
		c.send(t, "BEGIN\n")
		require.Equal(t, "got BEGIN\n", c.line(t))
	}

	c.send(t, "COMMIT\n")
	point.Wait()
	c.requireCut(t)
	require.Equal(t, []string{"BEGIN", "BEGIN"}, e.got())

	// It was one point: the next COMMIT goes through.
	other.send(t, "COMMIT\n")
	require.Equal(t, "got COMMIT\n", other.line(t))
}

func TestPointFindsBytesThatWereSentInTwo(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := testserver.NewProxy(t, e.addr())
	point := p.CutBefore("COMMIT")
	c := dial(t, p.Addr())
	c.send(t, "a\nCOM")
	require.Equal(t, "got a\n", c.line(t)) // so the first part has passed
	c.send(t, "MIT\n")
	point.Wait()
	c.requireCut(t)
	require.NotContains(t, e.got(), "COMMIT")
}

func TestPointCutAfter(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := testserver.NewProxy(t, e.addr())
	point := p.CutAfter("COMMIT")
	c := dial(t, p.Addr())
	c.send(t, "COMMIT\n")
	point.Wait()
	c.requireCut(t)
	require.Equal(t, []string{"COMMIT"}, e.got())
}

func TestPointHolds(t *testing.T) {
	t.Parallel()
	e := newEcho(t)
	p := testserver.NewProxy(t, e.addr())

	before := p.HoldBefore("one")
	c := dial(t, p.Addr())
	c.send(t, "one\n")
	before.Wait()
	require.Empty(t, e.got())
	before.Release()
	require.Equal(t, "got one\n", c.line(t))

	after := p.HoldAfter("two")
	c.send(t, "two\n")
	after.Wait()
	require.Contains(t, e.got(), "two")
	c.requireSilence(t)
	after.Cut()
	c.requireCut(t)
}

func TestPointThatHoldsEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	p := testserver.NewProxy(t, newEcho(t).addr())
	point := p.HoldBefore("x")
	c := dial(t, p.Addr())
	c.send(t, "x\n")
	<-point.Reached()
	require.Equal(t, 1, p.Connections())
	p.Cut()
	c.requireCut(t)
	require.Eventually(t, func() bool { return p.Connections() == 0 }, 10*time.Second, time.Millisecond)
}
