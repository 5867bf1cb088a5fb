package rocketmq

import "sync"

// closer is closed once. Its zero value is open.
type closer struct {
	mu     sync.Mutex
	ch     chan struct{}
	closed bool
}

// done is closed when the closer is.
func (c *closer) done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.channel()
}

func (c *closer) channel() chan struct{} {
	if c.ch == nil {
		c.ch = make(chan struct{})
	}
	return c.ch
}

func (c *closer) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *closer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.channel())
	}
}
