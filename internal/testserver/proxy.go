package testserver

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Proxy forwards TCP connections to a server and makes the network fail when told to: at once (Cut,
// Hold, Refuse), or at the moment when a client sends given bytes (CutBefore and its like). It closes
// when the test ends. Its methods may be called concurrently.
type Proxy struct {
	t      testing.TB
	target string
	addr   string
	tasks  sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	links    map[*link]struct{}
	gate     chan struct{} // nil, or open while everything is held
	points   []*Point
	closed   bool
}

// NewProxy starts a proxy to target, host:port.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, target: target, links: make(map[*link]struct{})}
	p.addr = freeAddr(t)
	p.Accept()
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect to, host:port.
func (p *Proxy) Addr() string { return p.addr }

// Cut closes all connections. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

// Refuse closes all connections and refuses new ones, as a host does on which nothing listens.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopListeningLocked()
	p.cutLocked()
}

// Accept ends Refuse.
func (p *Proxy) Accept() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", p.addr)
	if err != nil {
		p.t.Fatalf("proxy to %s: %v", p.target, err)
	}
	p.listener = l
	p.tasks.Go(func() { p.serve(l) })
}

// Hold stops all bytes in both directions, without closing anything: a network that loses packets.
func (p *Proxy) Hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate == nil {
		p.gate = make(chan struct{})
	}
}

// Release ends Hold; what was held is forwarded.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked()
}

// Connections counts the clients that are connected.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.stopListeningLocked()
	p.releaseLocked()
	p.cutLocked()
	p.mu.Unlock()
	p.tasks.Wait()
}

func (p *Proxy) stopListeningLocked() {
	if p.listener == nil {
		return
	}
	if err := p.listener.Close(); err != nil {
		p.t.Errorf("proxy to %s: %v", p.target, err)
	}
	p.listener = nil
}

func (p *Proxy) cutLocked() {
	for l := range p.links {
		l.cut()
	}
}

func (p *Proxy) releaseLocked() {
	if p.gate != nil {
		close(p.gate)
		p.gate = nil
	}
}

// serve accepts connections until the listener is closed.
func (p *Proxy) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		p.tasks.Go(func() { p.connect(client) })
	}
}

// connect forwards one connection until it ends.
func (p *Proxy) connect(client net.Conn) {
	d := net.Dialer{Timeout: timeout}
	server, err := d.DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close() // the client sees what a refusing server would give it
		return
	}
	l := newLink(client, server)
	p.mu.Lock()
	refused := p.closed || p.listener == nil
	if !refused {
		p.links[l] = struct{}{}
	}
	p.mu.Unlock()
	if refused {
		l.cut()
		return
	}
	l.run(p)
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// held returns a channel that is closed when bytes may flow again, nil if they may now.
func (p *Proxy) held() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate
}
