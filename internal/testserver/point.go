package testserver

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

// Point is a moment in the traffic through a Proxy: the first time, from now on, that a client sends
// given bytes (before), or that the server answers to them (after). It is reached once.
type Point struct {
	t       testing.TB
	what    string
	pattern []byte
	after   bool
	hold    bool
	reached chan struct{}
	once    sync.Once
	verdict chan struct{} // closed by Release or Cut
	forward bool          // what they said
}

// CutBefore cuts the connection on which a client sends pattern. The server gets nothing of the packet,
// or not its end: a statement in it is not run.
func (p *Proxy) CutBefore(pattern string) *Point { return p.point(pattern, false, false) }

// CutAfter cuts the connection on which a client sent pattern when the server begins to answer: the
// server has run it, and the client does not get to know. It suits protocols in which a server speaks
// only to answer (MySQL's, Redis's).
func (p *Proxy) CutAfter(pattern string) *Point { return p.point(pattern, true, false) }

// HoldBefore holds what a client sends from pattern on, until the point's Release or Cut.
func (p *Proxy) HoldBefore(pattern string) *Point { return p.point(pattern, false, true) }

// HoldAfter holds the server's answer to pattern, until the point's Release or Cut.
func (p *Proxy) HoldAfter(pattern string) *Point { return p.point(pattern, true, true) }

func (p *Proxy) point(pattern string, after, hold bool) *Point {
	p.t.Helper()
	if pattern == "" {
		p.t.Fatal("testserver: a point in the traffic needs the bytes to look for")
	}
	pt := &Point{
		t: p.t, what: "proxy to " + p.target, pattern: []byte(pattern), after: after, hold: hold,
		reached: make(chan struct{}), verdict: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.points = append(p.points, pt)
	return pt
}

// match takes out the first point whose bytes are in sent, and says how many bytes at its end could be
// the beginning of a match.
func (p *Proxy) match(sent []byte) (found *Point, longest int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, pt := range p.points {
		if bytes.Contains(sent, pt.pattern) {
			p.points = append(p.points[:i:i], p.points[i+1:]...)
			return pt, 0
		}
		longest = max(longest, len(pt.pattern)-1)
	}
	return nil, longest
}

// Wait returns when the point was reached. The test fails when that takes longer than 30 s.
func (pt *Point) Wait() {
	pt.t.Helper()
	select {
	case <-pt.reached:
	case <-time.After(timeout):
		pt.t.Fatalf("%s: no client sent %q within %s (or got no answer to it)", pt.what, pt.pattern, timeout)
	}
}

// Reached is closed when the point was reached.
func (pt *Point) Reached() <-chan struct{} { return pt.reached }

// Release forwards what a HoldBefore or HoldAfter holds, or would hold later.
func (pt *Point) Release() { pt.decide(true) }

// Cut cuts the connection that a HoldBefore or HoldAfter holds, or would hold later. What was held is lost.
func (pt *Point) Cut() { pt.decide(false) }

func (pt *Point) decide(forward bool) {
	pt.once.Do(func() {
		pt.forward = forward
		close(pt.verdict)
	})
}

// stop is called when the point is reached; it says whether to forward the bytes.
func (pt *Point) stop(l *link) bool {
	if !pt.hold {
		// First the cut: who waits for the point may look at the database at once.
		l.cut()
		close(pt.reached)
		return false
	}
	close(pt.reached)
	select {
	case <-pt.verdict:
		return pt.forward
	case <-l.ended:
		return false
	}
}
