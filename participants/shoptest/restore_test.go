package shoptest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
)

// announced is what was published about an order.
func announced(o *orderpb.Order, cart ...string) *orderpb.OrderConfirmed {
	return &orderpb.OrderConfirmed{
		OrderId: o.GetOrderId(), RequestId: o.GetRequestId(), AccountId: o.GetAccountId(),
		Lines: o.GetLines(), Total: o.GetTotal(), CartLineIds: cart, CreateTime: o.GetCreateTime(),
	}
}

// lose deletes all that the order database has of an order.
func (s *shop) lose(o *orderpb.Order) {
	s.t.Helper()
	for _, query := range []string{
		"DELETE FROM order_line WHERE gid = ?", "DELETE FROM orders WHERE gid = ?",
		"DELETE FROM order_request WHERE gid = ?", "DELETE FROM sub_transaction_barrier WHERE gid = ?",
	} {
		_, err := s.db.SQL().ExecContext(s.t.Context(), query, o.GetOrderId())
		require.NoError(s.t, err)
	}
}

func testRestored(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	req := s.request(a, 2, sku)
	req.CartLineIds = []string{"line-1", "line-2"}
	resp, err := s.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	o := resp.GetOrder()
	event := announced(o, req.GetCartLineIds()...)

	there, err := s.RestoreOrder(t.Context(), &orderpb.RestoreOrderRequest{Event: event})
	require.NoError(t, err)
	require.False(t, there.GetRestored(), "an order that is there is left alone")

	s.lose(o)
	_, err = s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: o.GetOrderId()})
	rpctest.RequireStatus(t, err, codes.NotFound, "UNKNOWN_ORDER")
	var restored atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			resp, err := s.RestoreOrder(t.Context(), &orderpb.RestoreOrderRequest{Event: event})
			if resp.GetRestored() && err == nil {
				restored.Add(1)
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(1), restored.Load())
	read, err := s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: o.GetOrderId()})
	require.NoError(t, err)
	require.Equal(t, o.String(), read.GetOrder().String())

	again, err := s.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, o.GetOrderId(), again.GetOrder().GetOrderId(), "its request makes no second order")
	require.Equal(t, [3]int64{800, 0, 200}, s.sums(a))
}

func testNotRestored(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	resp, err := s.PlaceOrder(t.Context(), s.request(a, 1, sku))
	require.NoError(t, err)
	o := resp.GetOrder()
	s.lose(o)
	refused := func(change func(*orderpb.OrderConfirmed), reason string) {
		t.Helper()
		event := announced(o)
		change(event)
		_, err := s.RestoreOrder(t.Context(), &orderpb.RestoreOrderRequest{Event: event})
		rpctest.RequireStatus(t, err, codes.FailedPrecondition, reason)
	}
	refused(func(e *orderpb.OrderConfirmed) { e.OrderId = s.id("never-begun") }, "TRANSACTION_NOT_SUCCEEDED")
	refused(func(e *orderpb.OrderConfirmed) { e.AccountId = "another" }, "MESSAGE_DIFFERS")
	refused(func(e *orderpb.OrderConfirmed) {
		line, _ := proto.Clone(e.GetLines()[0]).(*orderpb.OrderLine)
		line.Quantity = 2
		e.Lines = []*orderpb.OrderLine{line}
	}, "MESSAGE_DIFFERS")

	// An order that was aborted.
	poor := s.openAccount(1)
	_, err = s.PlaceOrder(t.Context(), s.request(poor, 1, sku))
	require.Error(t, err)
	list, err := s.ListOrders(t.Context(), &orderpb.ListOrdersRequest{AccountId: poor})
	require.NoError(t, err)
	require.Len(t, list.GetOrders(), 1)
	cancelled := list.GetOrders()[0]
	s.lose(cancelled)
	_, err = s.RestoreOrder(t.Context(), &orderpb.RestoreOrderRequest{Event: announced(cancelled)})
	rpctest.RequireStatus(t, err, codes.FailedPrecondition, "TRANSACTION_NOT_SUCCEEDED")

	// One whose participant does not remember it.
	_, err = s.stockDB.SQL().ExecContext(t.Context(), "DELETE FROM sub_transaction_barrier WHERE gid = ?", o.GetOrderId())
	require.NoError(t, err)
	refused(func(*orderpb.OrderConfirmed) {}, "BRANCH_NOT_CONFIRMED")
	_, err = s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: o.GetOrderId()})
	rpctest.RequireStatus(t, err, codes.NotFound, "UNKNOWN_ORDER")
}
