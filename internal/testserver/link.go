package testserver

import (
	"net"
	"sync"
)

// link is one client's connection through a proxy. Two goroutines run it, one for each direction.
type link struct {
	client, server net.Conn
	once           sync.Once
	ended          chan struct{}

	mu    sync.Mutex
	reply *Point // reached when the server sends its next bytes
}

func newLink(client, server net.Conn) *link {
	return &link{client: client, server: server, ended: make(chan struct{})}
}

// cut closes both sides.
func (l *link) cut() {
	l.once.Do(func() {
		close(l.ended)
		_ = l.client.Close() // what the peers make of it is the test's matter
		_ = l.server.Close()
	})
}

// run forwards until both directions have ended.
func (l *link) run(p *Proxy) {
	defer l.cut()
	var requests sync.WaitGroup
	requests.Go(func() {
		l.pump(l.client, l.server, &scanner{proxy: p, link: l})
	})
	l.pump(l.server, l.client, &replies{proxy: p, link: l})
	requests.Wait()
}

// filter decides about bytes before they are forwarded; false cuts the link. It may block until the
// link ends.
type filter interface{ pass(chunk []byte) bool }

// pump forwards one direction. The end of one direction ends the other only after it has been passed
// on, as TCP has it; an error ends both.
func (l *link) pump(from, to net.Conn, f filter) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !f.pass(buf[:n]) {
				l.cut()
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				l.cut()
				return
			}
		}
		if err != nil {
			if half, ok := to.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
				l.cut()
			}
			return
		}
	}
}

// awaitGate blocks while the proxy holds everything; false says that the link ended meanwhile.
func (l *link) awaitGate(p *Proxy) bool {
	for {
		gate := p.held()
		if gate == nil {
			return true
		}
		select {
		case <-gate:
		case <-l.ended:
			return false
		}
	}
}

// expectReply makes pt wait for the server's next bytes.
func (l *link) expectReply(pt *Point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reply = pt
}

// takeReply returns the point that waits for the server's bytes, once.
func (l *link) takeReply() *Point {
	l.mu.Lock()
	defer l.mu.Unlock()
	pt := l.reply
	l.reply = nil
	return pt
}

// scanner looks for the points' bytes in what a client sends.
type scanner struct {
	proxy *Proxy
	link  *link
	past  []byte // the end of what was sent, in case the bytes were cut in two
}

func (s *scanner) pass(chunk []byte) bool {
	if !s.link.awaitGate(s.proxy) {
		return false
	}
	s.past = append(s.past, chunk...)
	pt, longest := s.proxy.match(s.past)
	if len(s.past) > longest {
		s.past = append([]byte(nil), s.past[len(s.past)-longest:]...)
	}
	switch {
	case pt == nil:
		return true
	case pt.after:
		s.link.expectReply(pt)
		return true
	default:
		return pt.stop(s.link)
	}
}

// replies stops what a server sends, for points that wait for it.
type replies struct {
	proxy *Proxy
	link  *link
}

func (r *replies) pass([]byte) bool {
	if !r.link.awaitGate(r.proxy) {
		return false
	}
	if pt := r.link.takeReply(); pt != nil {
		return pt.stop(r.link)
	}
	return true
}
