package smoke

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

// What is ordered.
const (
	currency = "EUR"
	deposit  = 10_000
	pieces   = 5
	price    = 1_250
	ordered  = 2
)

const (
	// callTimeout bounds one attempt of a call.
	callTimeout = 10 * time.Second
	// longestPause is about the longest wait between two.
	longestPause = 3 * time.Second
)

// Config says where the shop is. All but Out are required.
type Config struct {
	// Order leads to the order service's public API, Account and Stock to the internal ones of theirs. Their
	// owner closes them.
	Order, Account, Stock grpc.ClientConnInterface
	// Out is told of each step.
	Out io.Writer
}

// Run opens an account, deposits, puts an item into stock, orders two pieces and verifies what the account and the
// stock say then. What it makes is named after a random id and stays. A shop that is still starting is waited for
// until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	id := uuid.NewString()
	r := run{
		account: "smoke-" + id, sku: "smoke-" + id, request: "smoke-" + id, out: cfg.Out,
		orders: orderpb.NewOrderServiceClient(cfg.Order), accounts: accountpb.NewAccountServiceClient(cfg.Account),
		stock: stockpb.NewStockServiceClient(cfg.Stock),
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"open an account", r.open},
		{"deposit", r.deposit},
		{"put an item into stock", r.put},
		{"place an order", r.place},
		{"place it again under the same request id", r.repeat},
		{"read the account", r.verifyAccount},
		{"read the stock", r.verifyStock},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// run is one order.
type run struct {
	account, sku, request string
	order                 string // its id, once it is placed
	out                   io.Writer

	orders   orderpb.OrderServiceClient
	accounts accountpb.AccountServiceClient
	stock    stockpb.StockServiceClient
}

func money(amount int64) *commonpb.Money { return &commonpb.Money{Amount: amount, Currency: currency} }

func (r *run) open(ctx context.Context) error {
	_, err := call(ctx, r.accounts.OpenAccount, &accountpb.OpenAccountRequest{RequestId: r.request + "-open", AccountId: r.account, Currency: currency})
	return r.done(err, "account %s is open", r.account)
}

func (r *run) deposit(ctx context.Context) error {
	_, err := call(ctx, r.accounts.Deposit, &accountpb.DepositRequest{RequestId: r.request + "-deposit", AccountId: r.account, Amount: money(deposit)})
	return r.done(err, "%d deposited", deposit)
}

func (r *run) put(ctx context.Context) error {
	_, err := call(ctx, r.stock.PutItem, &stockpb.PutItemRequest{RequestId: r.request + "-put", Sku: r.sku, Add: pieces, Price: money(price)})
	return r.done(err, "%d pieces of %s at %d in stock", pieces, r.sku, price)
}

// send sends the order, which may be done again.
func (r *run) send(ctx context.Context) (*orderpb.Order, error) {
	resp, err := call(ctx, r.orders.PlaceOrder, &orderpb.PlaceOrderRequest{
		RequestId: r.request, AccountId: r.account, Lines: []*orderpb.LineItem{{Sku: r.sku, Quantity: ordered}},
	})
	return resp.GetOrder(), err
}

// place waits until the order is decided: an answer of PENDING says that it will be.
func (r *run) place(ctx context.Context) error {
	order, err := r.send(ctx)
	if err != nil {
		return err
	}
	r.order = order.GetOrderId()
	for pause := newPause(); order.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_PENDING; {
		if !sleep(ctx, pause.NextBackOff()) {
			return fmt.Errorf("order %s is still pending: look for its transaction with tcckit tx show", r.order)
		}
		resp, err := call(ctx, r.orders.GetOrder, &orderpb.GetOrderRequest{OrderId: r.order})
		if err != nil {
			return err
		}
		order = resp.GetOrder()
	}
	if order.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED || order.GetTotal().GetAmount() != ordered*price {
		return fmt.Errorf("the order is %v, and should be confirmed with a total of %d", order, ordered*price)
	}
	return r.done(nil, "order %s is confirmed: %d pieces, %d", r.order, ordered, ordered*price)
}

// repeat must not buy anything.
func (r *run) repeat(ctx context.Context) error {
	order, err := r.send(ctx)
	if err == nil && order.GetOrderId() != r.order {
		err = fmt.Errorf("it became another order, %s", order.GetOrderId())
	}
	return r.done(err, "sent again it is the same order")
}

func (r *run) verifyAccount(ctx context.Context) error {
	resp, err := call(ctx, r.accounts.GetAccount, &accountpb.GetAccountRequest{AccountId: r.account})
	if err != nil {
		return err
	}
	a := resp.GetAccount()
	if a.GetAvailable() != deposit-ordered*price || a.GetFrozen() != 0 || a.GetSpent() != ordered*price {
		return fmt.Errorf("the books are wrong: %v after %d was deposited and %d ordered", a, deposit, ordered*price)
	}
	return r.done(nil, "balance %d, spent %d", a.GetAvailable(), a.GetSpent())
}

func (r *run) verifyStock(ctx context.Context) error {
	resp, err := call(ctx, r.stock.GetItem, &stockpb.GetItemRequest{Sku: r.sku})
	if err != nil {
		return err
	}
	i := resp.GetItem()
	if i.GetAvailable() != pieces-ordered || i.GetReserved() != 0 || i.GetSold() != ordered {
		return fmt.Errorf("the stock is wrong: %v after %d pieces came in and %d were ordered", i, pieces, ordered)
	}
	return r.done(nil, "in stock %d, sold %d", i.GetAvailable(), i.GetSold())
}

// done tells of a step that succeeded.
func (r *run) done(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintf(r.out, format+"\n", args...)
	}
	return err
}

// call calls until it gets an answer that is not only about now, or ctx ends. Every call of this package may be
// repeated.
func call[Req, Resp any](ctx context.Context, method func(context.Context, Req, ...grpc.CallOption) (Resp, error), req Req) (Resp, error) {
	for pause := newPause(); ; {
		attempt, cancel := context.WithTimeout(ctx, callTimeout)
		resp, err := method(attempt, req)
		cancel()
		if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded {
			return resp, err
		}
		if !sleep(ctx, pause.NextBackOff()) {
			return resp, err
		}
	}
}

func newPause() *backoff.ExponentialBackOff {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, longestPause
	return pause
}

// sleep returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
