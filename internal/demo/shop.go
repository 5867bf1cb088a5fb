package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/stack"
)

// callTimeout bounds one call of the API.
const callTimeout = 20 * time.Second

// shop is a client of the services, as a shop's website and its office would be.
type shop struct {
	orders   orderpb.OrderServiceClient
	accounts accountpb.AccountServiceClient
	items    stockpb.StockServiceClient

	// What callers from outside may not do goes to the internal listeners.
	bank      accountpb.AccountServiceClient
	warehouse stockpb.StockServiceClient

	conns []*grpc.ClientConn
	// run makes names unique where data of earlier runs may lie.
	run string
	// deposited and put are what this run brought in, by account and by sku.
	deposited, put map[string]int64
}

func newShop(s *stack.Stack, run string) (*shop, error) {
	c := &shop{run: run, deposited: make(map[string]int64), put: make(map[string]int64)}
	var err error
	dial := func(addr string) *grpc.ClientConn {
		conn, dialErr := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithUnaryInterceptor(bounded))
		if dialErr != nil {
			err = errors.Join(err, dialErr)
			return nil
		}
		c.conns = append(c.conns, conn)
		return conn
	}
	c.orders = orderpb.NewOrderServiceClient(dial(s.Service(stack.Order).Public))
	c.accounts = accountpb.NewAccountServiceClient(dial(s.Service(stack.Account).Public))
	c.items = stockpb.NewStockServiceClient(dial(s.Service(stack.Stock).Public))
	c.bank = accountpb.NewAccountServiceClient(dial(s.Service(stack.Account).Internal))
	c.warehouse = stockpb.NewStockServiceClient(dial(s.Service(stack.Stock).Internal))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), c.close())
	}
	return c, nil
}

// bounded gives each call its time, within which a service that was away may be back.
func bounded(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return invoke(ctx, method, req, reply, conn, opts...)
}

func (c *shop) close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// name makes the name of an account, item or request this run's own.
func (c *shop) name(s string) string {
	if c.run == "" {
		return s
	}
	return s + "-" + c.run
}

// open opens an account with something in it.
func (c *shop) open(ctx context.Context, id string, amount int64) error {
	_, err := c.bank.OpenAccount(ctx, &accountpb.OpenAccountRequest{RequestId: "open-" + id, AccountId: id, Currency: currency})
	if err != nil {
		return fmt.Errorf("open account %s: %w", id, err)
	}
	_, err = c.bank.Deposit(ctx, &accountpb.DepositRequest{RequestId: "deposit-" + id, AccountId: id, Amount: &commonpb.Money{Amount: amount, Currency: currency}})
	if err != nil {
		return fmt.Errorf("deposit to %s: %w", id, err)
	}
	c.deposited[id] += amount
	return nil
}

// supply puts pieces of an item into stock.
func (c *shop) supply(ctx context.Context, sku string, price, pieces int64) error {
	_, err := c.warehouse.PutItem(ctx, &stockpb.PutItemRequest{RequestId: "put-" + sku, Sku: sku, Add: pieces, Price: &commonpb.Money{Amount: price, Currency: currency}})
	if err != nil {
		return fmt.Errorf("put %s into stock: %w", sku, err)
	}
	c.put[sku] += pieces
	return nil
}

// place orders a number of pieces of one item.
func (c *shop) place(ctx context.Context, requestID, account, sku string, quantity int64) (*orderpb.Order, error) {
	resp, err := c.orders.PlaceOrder(ctx, &orderpb.PlaceOrderRequest{
		RequestId: requestID, AccountId: account, Lines: []*orderpb.LineItem{{Sku: sku, Quantity: quantity}},
	})
	return resp.GetOrder(), err
}

// confirmed waits until an order is confirmed; that it was cancelled is an error.
func (c *shop) confirmed(ctx context.Context, id string) (*orderpb.Order, error) {
	var order *orderpb.Order
	err := until(ctx, "order "+id+" is confirmed", func(ctx context.Context) (bool, error) {
		resp, err := c.orders.GetOrder(ctx, &orderpb.GetOrderRequest{OrderId: id})
		if err != nil {
			return false, err
		}
		order = resp.GetOrder()
		if order.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CANCELLED {
			return false, fmt.Errorf("order %s is CANCELLED: %s", id, order.GetReason())
		}
		return order.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED, nil
	})
	return order, err
}

// list returns all orders of an account, newest first.
func (c *shop) list(ctx context.Context, account string) ([]*orderpb.Order, error) {
	var all []*orderpb.Order
	token := ""
	for {
		resp, err := c.orders.ListOrders(ctx, &orderpb.ListOrdersRequest{AccountId: account, PageToken: token})
		if err != nil {
			return nil, fmt.Errorf("list the orders of %s: %w", account, err)
		}
		all = append(all, resp.GetOrders()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// rejection returns the reason of a rejected order, and its details.
func rejection(err error) (*errdetails.ErrorInfo, error) {
	if err == nil {
		return nil, errors.New("the order was taken, although it must be rejected")
	}
	s := status.Convert(err)
	if s.Code() == codes.FailedPrecondition {
		for _, d := range s.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				return info, nil
			}
		}
	}
	return nil, fmt.Errorf("want a rejection with its reason, got: %w", err)
}

// patience bounds every wait for something that usually takes milliseconds or a few seconds.
const patience = 60 * time.Second

// until waits until holds reports true. An error of it ends the wait.
func until(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds(ctx)
		if err != nil {
			return fmt.Errorf("waiting until %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}
