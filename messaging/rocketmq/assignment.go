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
	topic   string
	unknown chan struct{} // has a value when the broker does not know us
	quiet   chan struct{} // closed when, after release, the client reads nothing
	ended   chan struct{}

	mu        sync.Mutex
	mine      map[primitive.MessageQueue]bool
	releasing bool
	released  bool // a call before took all queues
	waiting   bool // a call waits for the end
}

func newAssignment(topic string) *assignment {
	return &assignment{
		topic: topic, mine: map[primitive.MessageQueue]bool{},
		unknown: make(chan struct{}, 1), quiet: make(chan struct{}), ended: make(chan struct{}),
	}
}

// allocate shares out the queues of one topic among the members of the group,
// which the broker knows, and says whether we get fewer than before.
func (a *assignment) allocate(group, self string, queues []*primitive.MessageQueue, members []string) (mine []*primitive.MessageQueue, fewer bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ours := len(queues) > 0 && queues[0].Topic == a.topic // the other one is the group's retry topic
	if a.releasing {
		a.giveBack(ours)
		return nil, false
	}
	if !slices.Contains(members, self) {
		// The broker was restarted and has not heard of us. The client would
		// drop all queues until it has.
		select {
		case a.unknown <- struct{}{}:
		default:
		}
		return slices.DeleteFunc(slices.Clone(queues), func(q *primitive.MessageQueue) bool { return !a.mine[*q] }), false
	}
	mine = consumer.AllocateByAveragely(group, self, queues, members)
	if !ours {
		return mine, false
	}
	now := make(map[primitive.MessageQueue]bool, len(mine))
	for _, q := range mine {
		now[*q] = true
	}
	for q := range a.mine {
		fewer = fewer || !now[q]
	}
	a.mine = now
	return mine, fewer
}

// giveBack leaves the client without queues. When it has none, it stays in this
// call until the end, so that it does nothing while it is shut down. It is called
// with the lock held, and holds it again when it returns.
func (a *assignment) giveBack(ours bool) {
	if !a.released || a.waiting {
		a.released = a.released || ours
		return
	}
	a.waiting = true
	close(a.quiet)
	a.mu.Unlock()
	<-a.ended
	a.mu.Lock()
}

func (a *assignment) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.releasing = true
}

// end is called once, when the client was shut down.
func (a *assignment) end() { close(a.ended) }
