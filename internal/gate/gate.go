// Package gate stands between a client and a server and holds back what the client sends, so that a
// demonstration can look at a moment that otherwise passes in microseconds.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const dialTimeout = 5 * time.Second

// Gate forwards TCP connections to a server. It is open at first. Its methods may be called concurrently.
type Gate struct {
	listener net.Listener
	target   string
	tasks    sync.WaitGroup

	mu     sync.Mutex
	state  state
	change chan struct{} // closed when state changes
	held   int64         // bytes
	cuts   int           // calls of Cut
	conns  map[net.Conn]struct{}
}

type state int

const (
	open   state = iota // everything passes
	hold                // what clients send waits here
	refuse              // there are no connections
	closed
)

// New listens on addr, host:port, and forwards to target. The caller closes the Gate.
func New(ctx context.Context, addr, target string) (*Gate, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("gate to %s: %w", target, err)
	}
	g := &Gate{listener: l, target: target, change: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	g.tasks.Go(g.accept)
	return g, nil
}

// Addr is where clients connect to.
func (g *Gate) Addr() string { return g.listener.Addr().String() }

// Hold keeps back what clients send from now on; connections stay, and what the server sends passes.
func (g *Gate) Hold() { g.set(hold) }

// Cut closes all connections, drops what was held and lets no connection live until Open.
func (g *Gate) Cut() {
	g.set(refuse)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = 0
	g.cuts++
	for c := range g.conns {
		_ = c.Close()
	}
}

// Open lets everything pass, also what was held.
func (g *Gate) Open() { g.set(open) }

// Held is how many bytes of clients are being held back.
func (g *Gate) Held() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// Close closes all connections and the listener and returns when nothing is left.
func (g *Gate) Close() error {
	err := g.listener.Close()
	g.Cut()
	g.set(closed)
	g.tasks.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("gate to %s: %w", g.target, err)
	}
	return nil
}

func (g *Gate) set(s state) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == closed || g.state == s {
		return
	}
	g.state = s
	close(g.change)
	g.change = make(chan struct{})
}

func (g *Gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.tasks.Go(func() { g.connect(client) })
	}
}

// connect forwards one connection until either side ends it.
func (g *Gate) connect(client net.Conn) {
	defer g.forget(client)
	if !g.keep(client) {
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(context.Background(), "tcp", g.target)
	if err != nil {
		return
	}
	defer g.forget(server)
	if !g.keep(server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close() // ends the other direction, too
	})
	g.forward(server, client)
	_ = server.Close()
	back.Wait()
}

// forward passes on what the client sends, when the gate lets it.
func (g *Gate) forward(server, client net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if n > 0 {
			if !g.pass(int64(n)) {
				return
			}
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while the gate holds and tells whether the bytes may go on.
func (g *Gate) pass(n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == hold {
		g.held += n
		for cuts := g.cuts; g.state == hold; {
			change := g.change
			g.mu.Unlock()
			<-change
			g.mu.Lock()
			if g.cuts != cuts {
				return false
			}
		}
		g.held -= n
	}
	return g.state == open
}

// keep registers a connection, unless none may live now.
func (g *Gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == refuse || g.state == closed {
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *Gate) forget(c net.Conn) {
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
	_ = c.Close()
}
