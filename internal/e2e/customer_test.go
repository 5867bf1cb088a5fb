package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

// customer has an account and an item of its own, and one order to place.
type customer struct {
	shop            *shop
	orders          orderpb.OrderServiceClient
	account, sku    string
	deposited, put  int64 // in minor units, in pieces
	price, quantity int64
	requestID       string
	cart            []string // the lines of the cart that the order is made from
	outcome         outcome
	callTimeout     time.Duration
}

// outcome is how an order must end.
type outcome string

const (
	confirmed    outcome = ""
	outOfStock   outcome = "INSUFFICIENT_STOCK"
	outOfBalance outcome = "INSUFFICIENT_BALANCE"
)

// suffix tells cases apart by their end.
func (o outcome) suffix() string {
	if o == confirmed {
		return ""
	}
	return " (" + string(o) + ")"
}

const currency = "EUR"

// customer makes a customer whose order is confirmed, or rejected, if nothing goes wrong.
func (s *shop) customer(t testing.TB, want outcome) *customer {
	t.Helper()
	n := s.customers.Add(1)
	c := &customer{
		shop: s, orders: s.orders, account: fmt.Sprintf("account-%d", n), sku: fmt.Sprintf("sku-%d", n), requestID: fmt.Sprintf("request-%d", n),
		deposited: 1000, put: 10, price: 100, quantity: 2, outcome: want, callTimeout: 10 * time.Second,
	}
	switch want {
	case outOfStock:
		c.put = 1
	case outOfBalance:
		c.deposited = 150
	}
	s.open(t, c.account, c.deposited)
	s.put(t, c.sku, c.put, c.price)
	return c
}

// open opens an account with something in it.
func (s *shop) open(t testing.TB, id string, amount int64) {
	t.Helper()
	ctx := bounded(t)
	_, err := s.accounts.OpenAccount(ctx, &accountpb.OpenAccountRequest{RequestId: "open-" + id, AccountId: id, Currency: currency}, ready())
	require.NoError(t, err)
	_, err = s.accounts.Deposit(ctx, &accountpb.DepositRequest{RequestId: "deposit-" + id, AccountId: id, Amount: money(amount)}, ready())
	require.NoError(t, err)
}

// put puts an item into the stock.
func (s *shop) put(t testing.TB, sku string, pieces, price int64) {
	t.Helper()
	_, err := s.stocks.PutItem(bounded(t), &stockpb.PutItemRequest{RequestId: "put-" + sku, Sku: sku, Add: pieces, Price: money(price)}, ready())
	require.NoError(t, err)
}

// ready has a call wait for a connection, for what is not under test.
func ready() grpc.CallOption { return grpc.WaitForReady(true) }

func money(amount int64) *commonpb.Money { return &commonpb.Money{Amount: amount, Currency: currency} }

func (c *customer) request() *orderpb.PlaceOrderRequest {
	return &orderpb.PlaceOrderRequest{
		RequestId: c.requestID, AccountId: c.account, Lines: []*orderpb.LineItem{{Sku: c.sku, Quantity: c.quantity}},
		CartLineIds: c.cart,
	}
}

// answer is that of one call.
type answer struct {
	order *orderpb.Order
	err   error
}

// rejection is why the order was rejected, "" if it was not.
func (a answer) rejection() string {
	if status.Code(a.err) != codes.FailedPrecondition {
		return ""
	}
	return reason(a.err)
}

// reason is what an error tells programs.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// ask sends the customer's request once.
func (c *customer) ask(ctx context.Context, opts ...grpc.CallOption) answer {
	ctx, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	resp, err := c.orders.PlaceOrder(ctx, c.request(), opts...)
	return answer{resp.GetOrder(), err}
}

// calling is a call under way.
type calling struct{ answers chan answer }

// place sends the request and returns at once.
func (c *customer) place(t testing.TB) *calling {
	t.Helper()
	call := &calling{make(chan answer, 1)}
	ctx := t.Context()
	go func() { call.answers <- c.ask(ctx) }() // ends with its time
	return call
}

// wait returns the answer.
func (call *calling) wait(t testing.TB) answer {
	t.Helper()
	select {
	case a := <-call.answers:
		return a
	case <-time.After(bound):
		t.Fatalf("no answer within %s", bound)
		return answer{}
	}
}

// again sends the same request until the answer is final, and requires it to be the one that there must be.
func (c *customer) again(t testing.TB) *orderpb.Order {
	t.Helper()
	a, err := c.final(bounded(t))
	require.NoError(t, err)
	c.requireFinal(t, a)
	return a.order
}

// final sends the same request until the answer is final. Whatever comes before must say that the same may be
// sent again.
func (c *customer) final(ctx context.Context) (answer, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		a := c.ask(ctx, ready())
		orderStatus := a.order.GetStatus()
		switch code := status.Code(a.err); {
		case code == codes.OK && orderStatus == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED, code == codes.FailedPrecondition:
			return a, nil
		case ctx.Err() != nil:
			return answer{}, fmt.Errorf("request %s has no final answer: %s %w", c.requestID, orderStatus, errors.Join(a.err, ctx.Err()))
		case code == codes.OK && orderStatus == orderpb.OrderStatus_ORDER_STATUS_PENDING, code == codes.Unavailable, code == codes.DeadlineExceeded:
		default:
			return answer{}, fmt.Errorf("request %s was answered, for the time being, with %s %w", c.requestID, orderStatus, a.err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// finalInTime is final with a bound for this request alone.
func (c *customer) finalInTime(t testing.TB) (answer, error) {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	return c.final(ctx)
}

// requireFinal checks an answer after which nothing can change.
func (c *customer) requireFinal(t testing.TB, a answer) {
	t.Helper()
	if c.outcome != confirmed {
		require.Equal(t, string(c.outcome), a.rejection(), "%v", a.err)
		return
	}
	require.NoError(t, a.err)
	require.Equal(t, orderpb.OrderStatus_ORDER_STATUS_CONFIRMED, a.order.GetStatus())
	require.Equal(t, c.price*c.quantity, a.order.GetTotal().GetAmount())
}

// gid waits until the request's current attempt is stored, and returns its gid.
func (c *customer) gid(t testing.TB) string {
	t.Helper()
	var gid string
	eventually(t, "the request is stored", func(ctx context.Context) error {
		return c.shop.dbs[order].db.QueryRowContext(ctx, "SELECT gid FROM order_request WHERE account_id = ? AND request_id = ?", c.account, c.requestID).Scan(&gid)
	})
	return gid
}
