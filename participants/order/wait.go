package order

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// Another process may have confirmed the order, which no news tell: so who
// waits also polls, the first time after firstPoll and then in growing steps.
const (
	firstPoll = 20 * time.Millisecond
	maxPoll   = 250 * time.Millisecond
)

// poll spaces looks into the database.
type poll struct{ last time.Duration }

func (p *poll) next() time.Duration {
	p.last = min(max(2*p.last, firstPoll), maxPoll)
	return p.last/2 + rand.N(p.last/2)
}

// rest waits for news, or the time of the next look. It reports false when
// until has come or ctx has ended.
func (p *poll) rest(ctx context.Context, sub *subscription, until time.Time) (pb.OrderStatus, bool) {
	left := time.Until(until)
	if left <= 0 || ctx.Err() != nil {
		return 0, false
	}
	timer := time.NewTimer(min(p.next(), left))
	defer timer.Stop()
	select {
	case status := <-sub.C:
		return status, true
	case <-timer.C:
		return 0, true
	case <-ctx.Done():
		return 0, false
	}
}

// follow waits for what becomes of another call's attempt, and answers with the
// order as it is known when its patience is at an end.
func (c *call) follow(ctx context.Context, r request) (*pb.Order, error) {
	sub := c.news.subscribe(r.gid)
	defer sub.Close()
	var p poll
	for {
		now, _, err := c.store.find(ctx, c.key)
		if err != nil {
			return nil, err
		}
		v := judge(now, c.body)
		if now.gid != r.gid || v != undecided && v != busy {
			return nil, errAgain
		}
		if _, ok := p.rest(ctx, sub, c.patience); ok {
			continue
		}
		switch {
		case v == undecided:
			return c.undecided(ctx, r.gid)
		case now.order == pb.OrderStatus_ORDER_STATUS_CANCELLED:
			// Its gid would name an order that is cancelled, while the
			// other call may be about to make a new one.
			return nil, &notMadeError{why: "another call is at it", passes: true, cause: errors.New("the last attempt was cancelled")}
		default:
			return c.unpriced(r.gid), nil
		}
	}
}

// settled waits until the order of this process's attempt is decided, and
// returns its status as far as it is known by then: UNSPECIFIED if there is no
// order.
func (c *call) settled(ctx context.Context, sub *subscription, gid string, until time.Time) (pb.OrderStatus, error) {
	var p poll
	status := pb.OrderStatus_ORDER_STATUS_PENDING
	for {
		heard, ok := p.rest(ctx, sub, until)
		if !ok {
			return status, nil
		}
		if heard == pb.OrderStatus_ORDER_STATUS_UNSPECIFIED {
			var err error
			if heard, err = c.orders.status(ctx, gid); err != nil {
				return status, err
			}
		}
		if status = heard; status != pb.OrderStatus_ORDER_STATUS_PENDING {
			return status, nil
		}
	}
}
