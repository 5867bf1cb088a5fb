package rocketmq

import (
	"context"
	"fmt"
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

// forget is called when a queue was lost: another reads it.
func (p *progress) forget(q primitive.MessageQueue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.queues, q)
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

// checkCommitted reports a queue of which the broker does not know that it was
// read up to the offset that is wanted.
func (s *subscription) checkCommitted(ctx context.Context, want map[primitive.MessageQueue]int64) error {
	if len(want) == 0 {
		return nil
	}
	r, err := s.bus.route(ctx, s.topic)
	if err != nil {
		return err
	}
	for _, q := range r.Queues {
		offset, ok := want[primitive.MessageQueue{Topic: s.topic, BrokerName: q.Broker, QueueId: q.ID}]
		if !ok {
			continue
		}
		committed, err := s.bus.admin.Committed(ctx, s.group, s.topic, q)
		if err != nil {
			return err
		}
		if committed < offset {
			return fmt.Errorf("queue %d of %s was read up to %d, the broker knows of %d", q.ID, q.Broker, offset, committed)
		}
	}
	return nil
}
