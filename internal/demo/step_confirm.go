package demo

import (
	"context"
	"fmt"
	"time"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// An order is confirmed: money is spent and goods are sold, in two databases, by one call.
func (d *demo) confirm(ctx context.Context) error {
	const price, pieces = 4900, 2
	account, sku := d.shop.name("alice"), d.shop.name("teapot")
	if err := d.shop.open(ctx, account, 100_000); err != nil {
		return err
	}
	if err := d.shop.supply(ctx, sku, price, 10); err != nil {
		return err
	}
	before, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	d.print.line("%s orders %d of %s at %s %s.", account, pieces, sku, euros(price), currency)
	begin := time.Now()
	order, err := d.shop.place(ctx, d.shop.name("order-1"), account, sku, pieces)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	if order.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
		if order, err = d.shop.confirmed(ctx, order.GetOrderId()); err != nil {
			return err
		}
		took = time.Since(begin)
	}
	after, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	d.print.compare([]string{"before", "after"}, before, after)
	if err := after.must(before.bought(pieces*price, pieces)); err != nil {
		return err
	}
	if order.GetTotal().GetAmount() != pieces*price {
		return fmt.Errorf("the order says %d, it must be %d", order.GetTotal().GetAmount(), pieces*price)
	}
	d.print.held("order %s is CONFIRMED after %s", order.GetOrderId(), took.Round(time.Millisecond))
	return nil
}
