package rocketmq

import (
	"maps"
	"slices"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// progress knows how far a subscription has come in each queue.
type progress struct {
	mu     sync.Mutex
	queues map[primitive.MessageQueue]*reading
}

type reading struct {
	pending  map[int64]bool // offsets that are not acknowledged
	from, to int64          // those seen: from the first to before the last
}

func newProgress() *progress {
	return &progress{queues: map[primitive.MessageQueue]*reading{}}
}

func (p *progress) begin(q primitive.MessageQueue, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.queues[q]
	if r == nil {
		r = &reading{pending: map[int64]bool{}, from: offset}
		p.queues[q] = r
	}
	r.pending[offset] = true
	r.from, r.to = min(r.from, offset), max(r.to, offset+1)
}

func (p *progress) done(q primitive.MessageQueue, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.queues[q]; r != nil {
		delete(r.pending, offset)
	}
}

// keep forgets all queues but those given: others are read by another.
func (p *progress) keep(queues map[primitive.MessageQueue]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.queues, func(q primitive.MessageQueue, _ *reading) bool { return !queues[q] })
}

// acknowledged is, by queue, the offset below which all that was seen is
// acknowledged.
func (p *progress) acknowledged() map[primitive.MessageQueue]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	upTo := map[primitive.MessageQueue]int64{}
	for q, r := range p.queues {
		end := r.to
		if len(r.pending) > 0 {
			end = slices.Min(slices.Collect(maps.Keys(r.pending)))
		}
		if end > r.from {
			upTo[q] = end
		}
	}
	return upTo
}
