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
	busy    sync.WaitGroup // messages from hand to the end of settle
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

// handed is a message that was handed out.
type handed struct {
	original, copy *message.Message
	end            context.CancelFunc // of its context
}

// hand returns when somebody has taken m, who has to call settle then. It
// returns nil if the outlet was drained instead.
func (o *outlet) hand(m *message.Message) *handed {
	o.mu.Lock()
	if o.stopped {
		o.mu.Unlock()
		return nil
	}
	o.busy.Add(1)
	o.mu.Unlock()
	h := &handed{original: m}
	if !o.again(h) {
		o.busy.Done()
		return nil
	}
	return h
}

// again hands out a new copy of a message. It returns false if the outlet was
// drained instead.
func (o *outlet) again(h *handed) bool {
	var ctx context.Context
	ctx, h.end = context.WithCancel(o.ctx)
	h.copy = h.original.Copy()
	h.copy.SetContext(ctx)
	select {
	case o.out <- h.copy:
		return true
	case <-o.stop:
		h.end()
		return false
	}
}

// settle returns true when h was acknowledged; false when the outlet was
// drained, or when, after a nack, gone says that h is not ours any more.
func (o *outlet) settle(h *handed, gone func() bool) bool {
	defer o.busy.Done()
	for {
		acked, more := o.await(h)
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
		if gone() || !o.again(h) {
			return false
		}
	}
}

// await says whether a copy was acknowledged, and whether to try again if not.
func (o *outlet) await(h *handed) (acked, more bool) {
	defer h.end()
	select {
	case <-h.copy.Acked():
		o.note(acknowledged)
		return true, false
	case <-h.copy.Nacked():
		o.note(refused)
		return false, true
	case <-o.ctx.Done():
		o.note(abandoned)
		return false, false
	}
}

// drain hands out nothing more, waits up to limit for what was handed out, ends
// the contexts of what is left of that, and closes the channel. It is called
// once.
func (o *outlet) drain(limit time.Duration) {
	o.mu.Lock()
	o.stopped = true
	o.mu.Unlock()
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
