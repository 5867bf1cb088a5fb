package outbox

import (
	"math/rand/v2"
	"sync"
	"time"
)

// The bounds of how long a relay leaves a broker, or its database, alone that is
// away. They double in between.
const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// failures counts what went wrong one after another.
type failures struct{ n int }

// next returns how long to wait after one more.
func (f *failures) next() time.Duration {
	f.n++
	return backoff(f.n, minPause, maxPause)
}

// backoff doubles from the least to the most delay, give or take a fifth.
func backoff(n int, least, most time.Duration) time.Duration {
	d := least
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	d = min(d, most)
	return d - d/5 + time.Duration(rand.Int64N(int64(d)*2/5+1))
}

// pauses are the queues that are left alone, for their topic was unavailable.
// Others go on: one topic does not hold up the rest.
type pauses struct {
	mu sync.Mutex
	of map[queue]*pause
}

type pause struct {
	failures
	until time.Time
}

// left returns for how long a queue is still left alone.
func (p *pauses) left(q queue) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.of[q]; ok {
		return time.Until(at.until)
	}
	return 0
}

// begin leaves a queue alone for a while, and returns for how long. Workers that
// fail at the same time count once.
func (p *pauses) begin(q queue) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[queue]*pause)
	}
	at := p.of[q]
	if at == nil {
		at = &pause{}
		p.of[q] = at
	}
	now := time.Now()
	if !now.Before(at.until) {
		at.until = now.Add(at.next())
	}
	return at.until.Sub(now)
}

// end says that the queue's topic is available.
func (p *pauses) end(q queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, q)
}
