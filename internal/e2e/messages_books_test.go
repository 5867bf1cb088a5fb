package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// followBound is how long everything may take to follow: a message whose consumer was away is tried again
// after a minute at most, and one whose result is missing is sent again after a minute.
const followBound = 4 * time.Minute

// tally is how many there must be.
type tally struct{ orders, express, lines int64 }

func tallyOf(buyers []*buyer) tally {
	var n tally
	for _, b := range buyers {
		n.orders += int64(len(b.confirmed))
		n.express += int64(len(b.express))
		n.lines += int64(len(b.stay))
	}
	return n
}

// followed waits until everything has followed the orders, and nothing more is under way.
func (s *followedShop) followed(t testing.TB, buyers []*buyer) {
	t.Helper()
	want := tallyOf(buyers)
	eventuallyWithin(t, followBound, "everything has followed", func(ctx context.Context) error {
		errs := s.unsettledMessages(ctx)
		for _, count := range []struct {
			in, what, query string
			want            int64
		}{
			{dispatch, "shipments", "SELECT COUNT(*) FROM shipment", want.orders},
			{dispatch, "messages handled", "SELECT COUNT(*) FROM inbox WHERE state = 1", want.orders},
			{cart, "lines", "SELECT COUNT(*) FROM cart_line", want.lines},
			{cart, "messages handled", "SELECT COUNT(*) FROM inbox WHERE state = 1", want.orders},
			{express, "orders CONFIRMED", "SELECT COUNT(*) FROM express_order WHERE status = 2", want.express},
		} {
			n, err := s.dbs[count.in].number(ctx, count.query)
			if err == nil && n != count.want {
				err = fmt.Errorf("%s has %d %s of %d", count.in, n, count.what, count.want)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// audit checks, when everything has followed, that it did so once.
func (s *followedShop) audit(t testing.TB, buyers []*buyer) {
	t.Helper()
	want := tallyOf(buyers)
	for _, count := range []struct {
		in, query string
		want      int64
	}{
		{order, "SELECT COUNT(*) FROM orders WHERE status = 2", want.orders},
		{order, "SELECT COUNT(*) FROM outbox WHERE state = 'SENT' AND topic = 'order.confirmed'", want.orders},
		{order, "SELECT COUNT(*) FROM outbox", want.orders},
		{dispatch, "SELECT COUNT(DISTINCT order_id) FROM shipment", want.orders},
		{express, "SELECT COUNT(*) FROM express_order", want.express},
		{express, "SELECT COUNT(*) FROM outbox WHERE state = 'CONFIRMED' AND topic = 'express.take'", want.express},
		{express, "SELECT COUNT(*) FROM outbox", want.express},
		{express, "SELECT COUNT(*) FROM inbox", want.express},
		{stock, "SELECT COUNT(*) FROM inbox", want.express},
		{stock, "SELECT COUNT(*) FROM outbox WHERE state = 'SENT' AND topic = 'express.result'", want.express},
		{stock, "SELECT COUNT(*) FROM outbox", want.express},
	} {
		n, err := s.dbs[count.in].number(bounded(t), count.query)
		require.NoError(t, err)
		require.Equal(t, count.want, n, "%s: %s", count.in, count.query)
	}
	for _, topic := range []string{"cart_dead", "dispatch_dead", "express_dead", "stock-express_dead"} {
		require.Zero(t, s.published(t, topic), topic)
	}
	for _, b := range buyers {
		b.audit(t)
	}
}

// audit asks the services what has become of the buyer's orders and cart.
func (b *buyer) audit(t testing.TB) {
	t.Helper()
	ctx := bounded(t)
	require.EqualValues(t, len(b.confirmed), b.shop.balance(t, b.account, b.deposited, b.sku, b.put), "orders of %s", b.account)

	placed, err := b.at.orders.ListOrders(ctx, &orderpb.ListOrdersRequest{AccountId: b.account, PageSize: 1000}, ready())
	require.NoError(t, err)
	var orders []string
	for _, o := range placed.GetOrders() {
		if o.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
			orders = append(orders, o.GetOrderId())
		}
	}
	require.ElementsMatch(t, b.confirmed, orders, "orders of %s", b.account)

	shipped, err := b.at.shipments.ListShipments(ctx, &dispatchpb.ListShipmentsRequest{AccountId: b.account, PageSize: 1000}, ready())
	require.NoError(t, err)
	var shipments []string
	for _, one := range shipped.GetShipments() {
		shipments = append(shipments, one.GetOrderId())
		require.Len(t, one.GetLines(), 1)
		require.Equal(t, b.sku, one.GetLines()[0].GetSku())
		require.Equal(t, b.quantity, one.GetLines()[0].GetQuantity())
	}
	require.ElementsMatch(t, b.confirmed, shipments, "shipments to %s", b.account)

	left, err := b.at.carts.GetCart(ctx, &cartpb.GetCartRequest{AccountId: b.account}, ready())
	require.NoError(t, err)
	var lines []string
	for _, l := range left.GetLines() {
		lines = append(lines, l.GetLineId())
	}
	require.ElementsMatch(t, b.stay, lines, "cart of %s", b.account)
	b.auditExpress(t)
}

func (b *buyer) auditExpress(t testing.TB) {
	t.Helper()
	ctx := bounded(t)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(b.express))), len(b.express))
	for _, id := range b.express {
		resp, err := b.at.expresses.GetExpressOrder(ctx, &expresspb.GetExpressOrderRequest{OrderId: id}, ready())
		require.NoError(t, err)
		require.Equal(t, expresspb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CONFIRMED, resp.GetOrder().GetStatus())
	}
	var available, reserved, sold int64
	require.NoError(t, b.shop.dbs[stock].db.QueryRowContext(ctx, "SELECT available, reserved, sold FROM item WHERE sku = ?", b.expressSKU()).
		Scan(&available, &reserved, &sold))
	require.Equal(t, int64(len(b.express))*b.quantity, sold, "pieces that express orders of %s took", b.account)
	require.Equal(t, b.put, available+reserved+sold)
}
