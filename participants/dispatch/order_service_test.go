package dispatch_test

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
)

// orders is an order service of which a test says what it answers. The methods
// may be called at any time.
type orders struct {
	orderpb.UnimplementedOrderServiceServer
	addr string
	stop func()

	mu       sync.Mutex
	kept     map[string]*orderpb.Order
	restores func(*orderpb.OrderConfirmed) error // nil: it refuses
	get      func(ctx context.Context) error     // nil: it answers
	restored []*orderpb.OrderConfirmed
	asked    int
}

func newOrders(t *testing.T) *orders {
	t.Helper()
	o := &orders{kept: make(map[string]*orderpb.Order)}
	l := rpctest.Listener(t)
	o.addr = l.Addr().String()
	o.stop = rpctest.Serve(t, l, rpc.ServerConfig{Logger: databasetest.Logger(t)}, func(r grpc.ServiceRegistrar) { orderpb.RegisterOrderServiceServer(r, o) })
	return o
}

func (o *orders) GetOrder(ctx context.Context, req *orderpb.GetOrderRequest) (*orderpb.GetOrderResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if o.get != nil {
		if err := o.get(ctx); err != nil {
			return nil, err
		}
	}
	order := o.kept[req.GetOrderId()]
	if order == nil {
		return nil, rpc.Error(codes.NotFound, "UNKNOWN_ORDER", "there is no such order", nil)
	}
	return &orderpb.GetOrderResponse{Order: order}, nil
}

func (o *orders) RestoreOrder(_ context.Context, req *orderpb.RestoreOrderRequest) (*orderpb.RestoreOrderResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := req.GetEvent()
	if o.restores == nil {
		return nil, rpc.Error(codes.FailedPrecondition, "TRANSACTION_NOT_SUCCEEDED", "the order is not restored: its transaction is failed", nil)
	}
	if err := o.restores(e); err != nil {
		return nil, err
	}
	o.restored = append(o.restored, e)
	o.kept[e.GetOrderId()] = orderOf(e)
	return &orderpb.RestoreOrderResponse{Restored: true}, nil
}

// with runs f while no call is being answered.
func (o *orders) with(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// keep has the service know an order.
func (o *orders) keep(e *orderpb.OrderConfirmed, status orderpb.OrderStatus) {
	order := orderOf(e)
	order.Status = status
	o.with(func() { o.kept[e.GetOrderId()] = order })
}

func orderOf(e *orderpb.OrderConfirmed) *orderpb.Order {
	return &orderpb.Order{
		OrderId: e.GetOrderId(), RequestId: e.GetRequestId(), AccountId: e.GetAccountId(), Lines: e.GetLines(), Total: e.GetTotal(),
		Status: orderpb.OrderStatus_ORDER_STATUS_CONFIRMED,
	}
}

// confirmed is the message about an order of ann's.
func confirmed(id string) *orderpb.OrderConfirmed {
	price := &commonpb.Money{Amount: 250, Currency: "EUR"}
	return &orderpb.OrderConfirmed{
		OrderId: id, RequestId: "r-" + id, AccountId: "ann", Total: &commonpb.Money{Amount: 1000, Currency: "EUR"},
		Lines: []*orderpb.OrderLine{{Sku: "pear", Quantity: 3, Price: price}, {Sku: "apple", Quantity: 1, Price: price}},
	}
}
