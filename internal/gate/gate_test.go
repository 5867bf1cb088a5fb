package gate_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/internal/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bound = 20 * time.Second

// echo starts a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func newGate(t *testing.T) *gate.Gate {
	t.Helper()
	g, err := gate.New(t.Context(), "127.0.0.1:0", echo(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, g *gate.Gate) *client {
	t.Helper()
	conn, err := net.Dial("tcp", g.Addr())
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(bound)))
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) send(line string) {
	c.t.Helper()
	_, err := io.WriteString(c.conn, line+"\n")
	require.NoError(c.t, err)
}

func (c *client) receives(line string) {
	c.t.Helper()
	got, err := c.r.ReadString('\n')
	require.NoError(c.t, err)
	require.Equal(c.t, line+"\n", got)
}

func (c *client) isCut() {
	c.t.Helper()
	_, err := c.r.ReadByte()
	require.Error(c.t, err)
	require.NotErrorIs(c.t, err, io.ErrNoProgress)
}

func TestHoldAndOpen(t *testing.T) {
	g := newGate(t)
	c := dial(t, g)
	c.send("one")
	c.receives("one")

	g.Hold()
	c.send("two")
	require.Eventually(t, func() bool { return g.Held() == 4 }, bound, time.Millisecond)
	g.Open()
	c.receives("two")
	require.Zero(t, g.Held())
}

func TestCutDropsWhatWasHeld(t *testing.T) {
	g := newGate(t)
	c := dial(t, g)
	c.send("one")
	c.receives("one")
	g.Hold()
	c.send("two")
	require.Eventually(t, func() bool { return g.Held() == 4 }, bound, time.Millisecond)
	g.Cut()
	c.isCut()
	require.Zero(t, g.Held())
	dial(t, g).isCut()

	g.Open()
	again := dial(t, g)
	again.send("three")
	again.receives("three")
}

func TestCloseWhileHolding(t *testing.T) {
	g := newGate(t)
	c := dial(t, g)
	g.Hold()
	c.send("one")
	require.Eventually(t, func() bool { return g.Held() == 4 }, bound, time.Millisecond)
	require.NoError(t, g.Close())
	c.isCut()
	_, err := net.Dial("tcp", g.Addr())
	require.Error(t, err)
}

func TestAServerThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	away := l.Addr().String()
	require.NoError(t, l.Close())
	g, err := gate.New(t.Context(), "127.0.0.1:0", away)
	require.NoError(t, err)
	dial(t, g).isCut()
	require.NoError(t, g.Close())
}
