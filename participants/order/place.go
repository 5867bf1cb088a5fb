package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/tcc"
)

const (
	// answerMargin is kept of the caller's deadline for the answer's way.
	answerMargin = 200 * time.Millisecond
	// leaseGrace is how long a lease outlasts its call, for what is done after
	// the call's time: aborting, and releasing the lease itself.
	leaseGrace = 2 * time.Second
	// detachedBound bounds what must be written although the call's time may be
	// over.
	detachedBound = 2 * time.Second
)

// PlaceOrder takes an order: see the package's documentation.
func (s *Service) PlaceOrder(ctx context.Context, req *pb.PlaceOrderRequest) (*pb.PlaceOrderResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	c := &call{
		Service:  s,
		req:      req,
		key:      key{account: req.GetAccountId(), request: req.GetRequestId()},
		body:     fingerprint(req),
		patience: time.Now().Add(s.answerWait(ctx)),
	}
	order, err := c.place(ctx)
	if err != nil {
		return nil, edge(err, req.GetRequestId())
	}
	return &pb.PlaceOrderResponse{Order: order}, nil
}

// answerWait is how long to wait, from now, before PENDING is the answer.
func (s *Service) answerWait(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return s.cfg.AnswerWait
	}
	return min(s.cfg.AnswerWait, max(0, time.Until(deadline)-answerMargin))
}

// lease is how long an attempt that begins now is left alone.
func (s *Service) lease(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return s.cfg.Timeout + leaseGrace
	}
	return max(0, time.Until(deadline)) + leaseGrace
}

// detached returns a context for what must be written although ctx may have
// ended.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), detachedBound)
}

// call is one call of PlaceOrder.
type call struct {
	*Service
	req  *pb.PlaceOrderRequest
	key  key
	body []byte
	// patience is until when another call's attempt is waited for.
	patience time.Time
}

// errAgain says that the request's row has changed under this call, so that it
// must be looked at anew.
var errAgain = errors.New("the request has changed meanwhile")

// place looks at the request and does what its state asks for, until there is
// an answer. Each round either waits or meets another call's progress.
func (c *call) place(ctx context.Context) (*pb.Order, error) {
	for {
		r, found, err := c.store.find(ctx, c.key)
		if err != nil {
			return nil, err
		}
		order, err := c.round(ctx, r, found)
		if !errors.Is(err, errAgain) {
			return order, err
		}
	}
}

func (c *call) round(ctx context.Context, r request, found bool) (*pb.Order, error) {
	if !found {
		return c.begin(ctx, "")
	}
	switch judge(r, c.body) {
	case refuse:
		return nil, errReused
	case rejected:
		return nil, &rejectedError{r.outcome}
	case confirmed:
		return c.known(ctx, r.gid)
	case free:
		return c.begin(ctx, r.gid)
	default:
		return c.follow(ctx, r)
	}
}

// begin makes an attempt: the request's first, or in place of old.
func (c *call) begin(ctx context.Context, old string) (*pb.Order, error) {
	a, err := c.newAttempt(ctx)
	var no *tcc.Rejection
	if err != nil && !errors.As(err, &no) {
		return nil, err
	}
	claimed, err := c.claim(ctx, old, a.gid)
	switch {
	case err != nil:
		return nil, err
	case !claimed:
		return nil, errAgain
	case no != nil:
		return nil, c.rejected(ctx, a, from(no, serviceStock, a.gid))
	}
	c.news.publish(old, pb.OrderStatus_ORDER_STATUS_UNSPECIFIED)
	return c.attempt(ctx, a)
}

// claim makes gid the request's current attempt, in place of old if that is not
// empty. It reports false if another call was first.
func (c *call) claim(ctx context.Context, old, gid string) (claimed bool, err error) {
	if old == "" {
		claimed, err = c.store.insert(ctx, c.key, c.body, gid, c.lease(ctx))
	} else {
		claimed, err = c.store.takeOver(ctx, c.key, old, gid, c.lease(ctx), false)
	}
	if !errors.Is(err, tcc.ErrUnavailable) {
		return claimed, err
	}
	// If only the answer was lost, the claim would keep every other call off
	// until its lease has passed.
	if r, found, lookErr := c.store.find(ctx, c.key); lookErr == nil && found && r.gid == gid {
		return true, nil
	}
	return false, err
}

// rejected records the request's outcome and returns it as an error.
func (c *call) rejected(ctx context.Context, a *attempt, r *tcc.Rejection) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	current, err := c.store.reject(ctx, c.key, a.gid, r)
	switch {
	case err != nil:
		return &notMadeError{why: "the rejection could not be stored", passes: true, cause: err}
	case !current:
		return errAgain
	}
	c.news.publish(a.gid, pb.OrderStatus_ORDER_STATUS_UNSPECIFIED)
	return &rejectedError{r}
}

// release lets the next call take the attempt over at once. If that fails, the
// lease passes by itself.
func (c *call) release(ctx context.Context, a *attempt) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := c.store.release(ctx, c.key, a.gid); err != nil {
		c.cfg.Logger.WarnContext(ctx, "lease not released", "gid", a.gid, "error", err)
		return
	}
	c.news.publish(a.gid, pb.OrderStatus_ORDER_STATUS_UNSPECIFIED)
}

// known reads an order that is there.
func (c *call) known(ctx context.Context, gid string) (*pb.Order, error) {
	order, err := c.orders.get(ctx, gid)
	if err == nil && order == nil {
		err = fmt.Errorf("the order %s, which its request names, is gone", gid)
	}
	return order, err
}

// undecided reads an order that was PENDING a moment ago. A cancelled one is no
// answer: another attempt may follow.
func (c *call) undecided(ctx context.Context, gid string) (*pb.Order, error) {
	order, err := c.known(ctx, gid)
	if err == nil && order.GetStatus() == pb.OrderStatus_ORDER_STATUS_CANCELLED {
		err = errAgain
	}
	return order, err
}

// unpriced is the order of another call's attempt that has not been made yet.
func (c *call) unpriced(gid string) *pb.Order {
	order := &pb.Order{
		OrderId:    gid,
		RequestId:  c.req.GetRequestId(),
		AccountId:  c.req.GetAccountId(),
		Status:     pb.OrderStatus_ORDER_STATUS_PENDING,
		CreateTime: timestamppb.New(createTime(gid)),
	}
	for _, l := range c.req.GetLines() {
		order.Lines = append(order.Lines, &pb.OrderLine{Sku: l.GetSku(), Quantity: l.GetQuantity()})
	}
	return order
}
