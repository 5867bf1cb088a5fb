package rocketmq

import (
	"context"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// outlet hands messages to who reads the channel of one subscription, again and
// again until they are acknowledged.
type outlet struct {
	out   chan *message.Message
	pause time.Duration // after a nack
	note  func(outcome)

	ctx    context.Context // of the messages
	cancel context.CancelFunc
	stop   chan struct{} // closed: hand out nothing more

	mu      sync.Mutex
	stopped bool
	busy    sync.WaitGroup // calls of deliver
}

// outcome is what became of one delivery.
type outcome string

const (
	acknowledged outcome = "ack"
	refused      outcome = "nack"
	abandoned    outcome = "abandoned" // the subscription ended before either
)

func newOutlet(ctx context.Context, pause time.Duration, note func(outcome)) *outlet {
	o := &outlet{out: make(chan *message.Message), pause: pause, note: note, stop: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancel(ctx)
	return o
}

// deliver returns true when m was acknowledged; false when the outlet was
// drained, or when, after a nack, gone says that m is not ours any more.
func (o *outlet) deliver(m *message.Message, gone func() bool) bool {
	o.mu.Lock()
	if o.stopped {
		o.mu.Unlock()
		return false
	}
	o.busy.Add(1)
	o.mu.Unlock()
	defer o.busy.Done()
	for {
		select {
		case <-o.stop:
			return false
		default:
		}
		acked, more := o.once(m)
		if acked || !more {
			return acked
		}
		timer := time.NewTimer(o.pause)
		select {
		case <-timer.C:
		case <-o.stop:
			timer.Stop()
			return false
		}
		if gone() {
			return false
		}
	}
}

// once hands out a copy of m, and says whether it was acknowledged, and whether
// to try again if not.
func (o *outlet) once(m *message.Message) (acked, more bool) {
	c := m.Copy()
	ctx, cancel := context.WithCancel(o.ctx)
	defer cancel()
	c.SetContext(ctx)
	select {
	case o.out <- c:
	case <-o.stop:
		return false, false
	}
	select {
	case <-c.Acked():
		o.note(acknowledged)
		return true, false
	case <-c.Nacked():
		o.note(refused)
		return false, true
	case <-o.ctx.Done():
		o.note(abandoned)
		return false, false
	}
}

// drain hands out nothing more, waits up to limit for what was handed out, ends
// the contexts of what is left of that, and closes the channel.
func (o *outlet) drain(limit time.Duration) {
	o.mu.Lock()
	first := !o.stopped
	o.stopped = true
	o.mu.Unlock()
	if !first {
		return
	}
	close(o.stop)
	idle := make(chan struct{})
	go func() {
		o.busy.Wait()
		close(idle)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	o.cancel()
	<-idle
	close(o.out)
}
