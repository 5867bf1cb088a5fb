package rocketmq

import (
	"slices"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// assignment knows which queues of a topic the client reads, for it is asked to
// share them out whenever that may have changed. The client asks one call at a
// time, and has done what a call said before it makes the next one.
type assignment struct {
	topic  string
	onLoss func(primitive.MessageQueue)

	unknown chan struct{} // has a value when the broker does not know us
	quiet   chan struct{} // closed when, after release, the client reads nothing

	mu        sync.Mutex
	calls     int
	owned     map[primitive.MessageQueue]bool
	lost      map[primitive.MessageQueue]int // the call in which they were
	releasing bool
	released  bool // the call before took all queues
	ended     chan struct{}
}

func newAssignment(topic string, onLoss func(primitive.MessageQueue)) *assignment {
	return &assignment{
		topic: topic, onLoss: onLoss,
		unknown: make(chan struct{}, 1), quiet: make(chan struct{}), ended: make(chan struct{}),
		owned: map[primitive.MessageQueue]bool{}, lost: map[primitive.MessageQueue]int{},
	}
}

// allocate is the client's consumer.AllocateStrategy.
func (a *assignment) allocate(group, self string, queues []*primitive.MessageQueue, members []string) []*primitive.MessageQueue {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	ours := len(queues) > 0 && queues[0].Topic == a.topic // the other one is the group's retry topic
	if a.releasing {
		a.giveBack(ours)
		return nil
	}
	var mine []*primitive.MessageQueue
	if slices.Contains(members, self) {
		mine = consumer.AllocateByAveragely(group, self, queues, members)
	} else {
		// The broker was restarted and has not heard of us. The client
		// would drop all queues until it has.
		select {
		case a.unknown <- struct{}{}:
		default:
		}
		mine = slices.DeleteFunc(slices.Clone(queues), func(q *primitive.MessageQueue) bool { return !a.owned[*q] })
	}
	if ours {
		a.set(mine)
	}
	return mine
}

func (a *assignment) set(mine []*primitive.MessageQueue) {
	now := make(map[primitive.MessageQueue]bool, len(mine))
	for _, q := range mine {
		now[*q] = true
		delete(a.lost, *q)
	}
	for q := range a.owned {
		if !now[q] {
			a.lost[q] = a.calls
			a.onLoss(q)
		}
	}
	a.owned = now
}

// giveBack leaves the client without queues. Once it has none it stays in this
// call until end, so that it does nothing while it is shut down. It is called
// with the lock held, and holds it again when it returns.
func (a *assignment) giveBack(ours bool) {
	if !a.released {
		a.released = ours
		return
	}
	select {
	case <-a.quiet:
	default:
		close(a.quiet)
	}
	a.mu.Unlock()
	<-a.ended
	a.mu.Lock()
}

// gone says that the client does not heed any more what becomes of the messages
// of a queue.
func (a *assignment) gone(q primitive.MessageQueue) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	call, ok := a.lost[q]
	return ok && a.calls > call
}

func (a *assignment) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.releasing = true
}

// end is called once, when the client was shut down.
func (a *assignment) end() { close(a.ended) }
