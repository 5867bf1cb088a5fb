package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/stack"
	"github.com/tcckit/tcckit/tcc"
)

const (
	// orderTimeout bounds one order, and how long it may take until all that were committed are carried
	// out. Neither is ever near in a run that measures anything.
	orderTimeout  = 30 * time.Second
	settleTimeout = 2 * time.Minute
)

// Kind says what is measured.
type Kind string

// The kinds.
const (
	// Limit has participants that answer at once: what the coordinator allows.
	Limit Kind = "answering at once"
	// Branches is a debit and a reservation, without the order service.
	Branches Kind = "account and stock"
	// PlaceOrder is the whole, through the order service.
	PlaceOrder Kind = "PlaceOrder"
)

// system is the shop on real processes, and the participants that answer at once, on one DTM server.
type system struct {
	rows      int
	client    *coordinator.Client
	dtm       *grpc.ClientConn
	real      *peers
	answering *peers
	orderConn *grpc.ClientConn
	orders    orderpb.OrderServiceClient
	requests  atomic.Int64
	// carried counts the orders that real and answering have taken.
	carried map[*peers]*atomic.Int64
}

// connect connects to a stack that runs, and to the participants that answer at once at the two addresses.
func connect(s *stack.Stack, keys *tcc.Keyring, answering [2]string, rows int) (_ *system, err error) {
	y := &system{rows: rows}
	defer func() {
		if err != nil {
			y.close()
		}
	}()
	if y.dtm, err = rpc.Dial(s.DTM().GRPCAddr, rpc.DialConfig{}); err != nil {
		return nil, err
	}
	if y.client, err = coordinator.New(coordinator.Config{Conn: y.dtm, HTTPURL: s.DTM().HTTPURL, Keys: keys}); err != nil {
		return nil, err
	}
	if y.real, err = dialPeers(s.Service(stack.Account).Internal, s.Service(stack.Stock).Internal); err != nil {
		return nil, err
	}
	if y.answering, err = dialPeers(answering[0], answering[1]); err != nil {
		return nil, err
	}
	if y.orderConn, err = rpc.Dial(s.Service(stack.Order).Public, rpc.DialConfig{}); err != nil {
		return nil, err
	}
	y.orders = orderpb.NewOrderServiceClient(y.orderConn)
	y.carried = map[*peers]*atomic.Int64{y.real: {}, y.answering: {}}
	return y, nil
}

func (y *system) close() {
	for _, p := range []*peers{y.real, y.answering} {
		if p != nil {
			p.close()
		}
	}
	for _, conn := range []*grpc.ClientConn{y.orderConn, y.dtm} {
		if conn != nil {
			_ = conn.Close() // fails only if it was closed before
		}
	}
}

// prepare seeds the databases and learns what the answering participants have counted before.
func (y *system) prepare(ctx context.Context) error {
	if err := y.real.seed(ctx, y.rows); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	s, err := y.answering.shelf(ctx) // waits until it listens
	y.carried[y.answering].Store(s.sold)
	return err
}

// round measures one kind, waits until all that was committed is carried out, and verifies the books.
func (y *system) round(ctx context.Context, kind Kind, clients int, duration time.Duration) (Round, error) {
	p := y.real
	if kind == Limit {
		p = y.answering
	}
	op := func(ctx context.Context, _ int) error {
		return p.order(ctx, y.client, accountID(rand.IntN(y.rows)), skuOf(rand.IntN(y.rows)))
	}
	if kind == PlaceOrder {
		op = y.place
	}
	r, err := Run(ctx, clients, duration, func(ctx context.Context, client int) error {
		ctx, cancel := context.WithTimeout(ctx, orderTimeout)
		defer cancel()
		return op(ctx, client)
	})
	if err != nil {
		return r, fmt.Errorf("bench: %s, %d clients: %w", kind, clients, err)
	}
	want := y.carried[p].Add(r.Done)
	settling, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := r.Settle(settling, func(ctx context.Context) (bool, error) {
		s, err := p.shelf(ctx)
		return s.reserved == 0 && s.sold == want, err
	}); err != nil {
		return r, fmt.Errorf("bench: %s, %d clients: %w", kind, clients, err)
	}
	if kind == Limit {
		return r, nil
	}
	return r, p.verify(ctx, y.rows, want)
}

// place places an order and returns when it is confirmed.
func (y *system) place(ctx context.Context, _ int) error {
	resp, err := y.orders.PlaceOrder(ctx, &orderpb.PlaceOrderRequest{
		RequestId: "order-" + strconv.FormatInt(y.requests.Add(1), 10),
		AccountId: accountID(rand.IntN(y.rows)),
		Lines:     []*orderpb.LineItem{{Sku: skuOf(rand.IntN(y.rows)), Quantity: 1}},
	})
	if err != nil {
		return err
	}
	order := resp.GetOrder()
	for order.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_PENDING {
		const pause = 20 * time.Millisecond
		select {
		case <-ctx.Done():
			return fmt.Errorf("order %s stays PENDING: %w", order.GetOrderId(), ctx.Err())
		case <-time.After(pause):
		}
		again, err := y.orders.GetOrder(ctx, &orderpb.GetOrderRequest{OrderId: order.GetOrderId()})
		if err != nil {
			return err
		}
		order = again.GetOrder()
	}
	if order.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
		return errors.New("order " + order.GetOrderId() + " is " + order.GetStatus().String())
	}
	return nil
}
