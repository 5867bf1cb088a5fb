package fakebroker

import (
	"sync"
	"time"

	"github.com/tcckit/tcckit/internal/remoting" //nolint:depguard // only tests link this package
)

// Handler answers a request. It may be called concurrently.
type Handler func(c *Call)

// Call is a request and the way to answer it. A handler that does not answer
// leaves the client waiting.
type Call struct {
	remoting.Command

	server *Server
	conn   *connection
}

// Answer sends a response, unless the request wants none.
func (c *Call) Answer(outcome Outcome, fields map[string]string, body []byte) {
	if c.IsOneway() {
		return
	}
	c.conn.write(c.Response(int(outcome), fields, body))
}

// Default answers as a well-behaved server does.
func (c *Call) Default() { c.server.answer(c) }

// Drop closes the connection that the request came on.
func (c *Call) Drop() { c.conn.close() }

// Refuse says no.
func Refuse(outcome Outcome, remark string) Handler {
	return func(c *Call) {
		if c.IsOneway() {
			return
		}
		r := c.Response(int(outcome), nil, nil)
		r.Remark = remark
		c.conn.write(r)
	}
}

// Silence never answers, and does nothing.
func Silence(*Call) {}

// Drop closes the connection without doing anything.
func Drop(c *Call) { c.Drop() }

// DoAndSay does what was asked and answers with another outcome than success.
func DoAndSay(outcome Outcome) Handler { return func(c *Call) { c.server.answerWith(c, outcome) } }

// DoAndSilence does what was asked and never answers.
func DoAndSilence(c *Call) {
	c.Flag |= remoting.FlagOneway
	c.Default()
}

// DoAndDrop does what was asked and closes the connection.
func DoAndDrop(c *Call) {
	DoAndSilence(c)
	c.Drop()
}

// Delay leaves the request lying for a while, or until the server is closed.
func Delay(d time.Duration, then Handler) Handler {
	return func(c *Call) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			then(c)
		case <-c.server.done:
		}
	}
}

// Times is first for the first n requests and then for the others.
func Times(n int, first, then Handler) Handler {
	var mu sync.Mutex
	return func(c *Call) {
		mu.Lock()
		n--
		handler := first
		if n < 0 {
			handler = then
		}
		mu.Unlock()
		handler(c)
	}
}

// Default is how a well-behaved server answers, to be named in [Times] and
// [Delay].
func Default(c *Call) { c.Default() }
