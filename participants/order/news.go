package order

import (
	"sync"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// news tells the calls of this process that wait for an attempt what became of
// it, so that they need not ask the database. It may miss what happens in other
// processes: who waits polls as well.
type news struct {
	mu      sync.Mutex
	waiting map[string]map[*subscription]struct{} // by gid
}

func newNews() *news { return &news{waiting: make(map[string]map[*subscription]struct{})} }

// subscription receives the news of one attempt.
type subscription struct {
	// C holds the latest: the order's status if it was decided, UNSPECIFIED
	// if something else about the attempt has changed.
	C    chan pb.OrderStatus
	news *news
	gid  string
}

// subscribe is called before looking into the database, so that nothing is
// missed in between. The subscription must be closed.
func (n *news) subscribe(gid string) *subscription {
	s := &subscription{C: make(chan pb.OrderStatus, 1), news: n, gid: gid}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting[gid] == nil {
		n.waiting[gid] = make(map[*subscription]struct{})
	}
	n.waiting[gid][s] = struct{}{}
	return s
}

// Close ends the subscription.
func (s *subscription) Close() {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	delete(s.news.waiting[s.gid], s)
	if len(s.news.waiting[s.gid]) == 0 {
		delete(s.news.waiting, s.gid)
	}
}

// publish tells who waits for gid. It does not block.
func (n *news) publish(gid string, status pb.OrderStatus) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.waiting[gid] {
		select {
		case <-s.C: // what was not taken yet is old news
		default:
		}
		s.C <- status
	}
}
