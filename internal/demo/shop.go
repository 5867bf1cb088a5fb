package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
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

	followers

	conns []*grpc.ClientConn
	// run makes names unique where data of earlier runs may lie.
	run string
	// deposited and put are what this run brought in, by account and by sku.
	deposited, put map[string]int64
}

func newShop(s *stack.Stack, run string) (*shop, error) {
	c := &shop{run: run, deposited: make(map[string]int64), put: make(map[string]int64)}
	var err error
	dial := func(addr string, opts ...grpc.DialOption) *grpc.ClientConn {
		conn, dialErr := grpc.NewClient(addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithUnaryInterceptor(bounded))...)
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
	c.followers = newFollowers(s, dial)
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

// placeCart orders lines of the account's cart, and returns when the order is confirmed.
func (c *shop) placeCart(ctx context.Context, account string, lines ...*cartpb.CartLine) (*orderpb.Order, error) {
	req := &orderpb.PlaceOrderRequest{RequestId: "order-" + account, AccountId: account}
	for _, l := range lines {
		req.Lines = append(req.Lines, &orderpb.LineItem{Sku: l.GetSku(), Quantity: l.GetQuantity()})
		req.CartLineIds = append(req.CartLineIds, l.GetLineId())
	}
	resp, err := c.orders.PlaceOrder(ctx, req)
	if err != nil || resp.GetOrder().GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
		return resp.GetOrder(), err
	}
	return c.confirmed(ctx, resp.GetOrder().GetOrderId())
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
