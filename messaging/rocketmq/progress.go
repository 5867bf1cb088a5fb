package rocketmq

import (
	"maps"
	"slices"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// progress knows how far a subscription has come in each queue.
type progress struct {
	mu       sync.Mutex
	readings map[tenure]*reading
}

// tenure is the time for which the client reads a queue, from when it got it
// until it lost it. It is the client's own record of that, a pointer.
type tenure interface{ IsDroppd() bool }

// reading is what was handed out of a queue in one tenure.
type reading struct {
	queue    primitive.MessageQueue
	pending  map[int64]bool // offsets that are not acknowledged
	from, to int64          // the first offset, and the one after the last
}

func newProgress() *progress { return &progress{readings: map[tenure]*reading{}} }

// begin notes a message that is about to be handed out. Those of one tenure must
// be noted in their order: what is before the first that is not acknowledged is
// taken to be done.
func (p *progress) begin(t tenure, q primitive.MessageQueue, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.readings[t]
	if r == nil {
		r = &reading{queue: q, pending: map[int64]bool{}, from: offset}
		p.readings[t] = r
	}
	r.pending[offset] = true
	r.to = offset + 1
}

// done notes that a message was acknowledged.
func (p *progress) done(t tenure, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.readings[t]; r != nil {
		delete(r.pending, offset)
	}
}

// acknowledged is, for each queue that we have, the offset below which all that
// was handed out is acknowledged.
func (p *progress) acknowledged() map[primitive.MessageQueue]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.readings, func(t tenure, _ *reading) bool { return t.IsDroppd() })
	upTo := map[primitive.MessageQueue]int64{}
	for _, r := range p.readings {
		end := r.to
		if len(r.pending) > 0 {
			end = slices.Min(slices.Collect(maps.Keys(r.pending)))
		}
		if end > r.from {
			upTo[r.queue] = end
		}
	}
	return upTo
}
