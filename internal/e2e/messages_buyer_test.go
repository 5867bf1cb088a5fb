package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// How often a buyer does something else than an order for one line of the cart that is confirmed.
const (
	twoLinesEach = 3  // an order for two lines of the cart
	tooManyEach  = 20 // an order that is rejected, which leaves the cart as it is
	laterEach    = 4  // something is put into the cart after an order
	expressEach  = 10 // an express order
)

// buyer is a customer who fills a cart and places orders for what is in it.
type buyer struct {
	*customer
	at        *followedShop
	orders    int
	confirmed []string // ids of orders
	stay      []string // lines that must be in the cart at the end
	express   []string // ids of express orders
	lines     int      // that were put into the cart
}

// buyer opens an account and puts an item into the stock.
func (s *followedShop) buyer(t *testing.T, orders int) *buyer {
	t.Helper()
	n := s.customers.Add(1)
	b := &buyer{at: s, orders: orders, customer: &customer{
		shop: s.shop, orders: s.orders, account: fmt.Sprintf("buyer-%d", n), sku: fmt.Sprintf("thing-%d", n),
		deposited: 1_000_000, put: 1000, price: 7, quantity: 2, callTimeout: 10 * time.Second,
	}}
	s.open(t, b.account, b.deposited)
	s.put(t, b.sku, b.put, b.price)
	s.put(t, b.expressSKU(), b.put, b.price)
	return b
}

// buy fills the cart, and then places one order after another. It calls placed when each has its answer.
func (b *buyer) buy(ctx context.Context, t testing.TB, placed func()) error {
	carts := make([][]string, b.orders)
	for n := range carts {
		for range 1 + oneIn(twoLinesEach, n) {
			line, err := b.add(ctx)
			if err != nil {
				return err
			}
			carts[n] = append(carts[n], line)
		}
	}
	for n, lines := range carts {
		if err := errors.Join(b.order(t, n, lines), b.putLater(ctx, n), b.orderExpress(ctx, n)); err != nil {
			return fmt.Errorf("%s, order %d: %w", b.account, n, err)
		}
		placed()
	}
	return nil
}

// oneIn is 1 for the last of each so many, and 0 otherwise.
func oneIn(each, n int) int {
	if n%each == each-1 {
		return 1
	}
	return 0
}

// order places an order to its end.
func (b *buyer) order(t testing.TB, n int, lines []string) error {
	one := *b.customer
	one.requestID, one.cart = fmt.Sprintf("order-%d", n), lines
	if oneIn(tooManyEach, n) > 0 {
		one.quantity, one.outcome = b.put+1, outOfStock
	}
	a, err := one.finalInTime(t)
	switch {
	case err != nil:
		return err
	case a.rejection() != string(one.outcome):
		return fmt.Errorf("it was to end as %q: %w", one.outcome, a.err)
	case one.outcome != confirmed:
		b.stay = append(b.stay, lines...)
	default:
		b.confirmed = append(b.confirmed, a.order.GetOrderId())
	}
	return nil
}

// add puts a line into the cart.
func (b *buyer) add(ctx context.Context) (line string, err error) {
	b.lines++
	request := &cartpb.AddItemRequest{RequestId: fmt.Sprintf("line-%d", b.lines), AccountId: b.account, Sku: b.sku, Quantity: b.quantity}
	err = persist(ctx, func(ctx context.Context) error {
		resp, err := b.at.carts.AddItem(ctx, request, ready())
		line = resp.GetLine().GetLineId()
		return err
	})
	return line, err
}

// putLater puts a line into the cart that nobody orders, as equal to one that was ordered as can be.
func (b *buyer) putLater(ctx context.Context, n int) error {
	if oneIn(laterEach, n) == 0 {
		return nil
	}
	line, err := b.add(ctx)
	b.stay = append(b.stay, line)
	return err
}

func (b *buyer) orderExpress(ctx context.Context, n int) error {
	if oneIn(expressEach, n) == 0 {
		return nil
	}
	request := &expresspb.PlaceExpressOrderRequest{
		RequestId: fmt.Sprintf("%s-%d", b.account, n), AccountId: b.account,
		Lines: []*orderpb.LineItem{{Sku: b.expressSKU(), Quantity: b.quantity}},
	}
	return persist(ctx, func(ctx context.Context) error {
		resp, err := b.at.expresses.PlaceExpressOrder(ctx, request, ready())
		if err == nil {
			b.express = append(b.express, resp.GetOrder().GetOrderId())
		}
		return err
	})
}

// persist makes a call until it succeeds. Whatever comes before must say that the same may be sent again.
func persist(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := inTime(ctx, call)
		switch code := status.Code(err); {
		case code == codes.OK:
			return nil
		case ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case code != codes.Unavailable && code != codes.DeadlineExceeded:
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func inTime(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return call(ctx)
}
