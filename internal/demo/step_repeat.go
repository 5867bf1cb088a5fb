package demo

import (
	"context"
	"fmt"
)

// The same request, sent twice, is one order.
func (d *demo) repeat(ctx context.Context) error {
	const price = 900
	account, sku := d.shop.name("dave"), d.shop.name("cup")
	if err := d.shop.open(ctx, account, 10_000); err != nil {
		return err
	}
	if err := d.shop.supply(ctx, sku, price, 10); err != nil {
		return err
	}
	before, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	request := "order-" + account
	d.print.line("%s orders 1 of %s. The answer is lost, so the client sends the same request_id again.", account, sku)
	first, err := d.shop.place(ctx, request, account, sku, 1)
	if err != nil {
		return err
	}
	second, err := d.shop.place(ctx, request, account, sku, 1)
	if err != nil {
		return err
	}
	if _, err := d.shop.confirmed(ctx, first.GetOrderId()); err != nil {
		return err
	}
	after, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return err
	}
	d.print.compare([]string{"before", "after both"}, before, after)
	if first.GetOrderId() != second.GetOrderId() {
		return fmt.Errorf("two orders were made: %s and %s", first.GetOrderId(), second.GetOrderId())
	}
	orders, err := d.shop.list(ctx, account)
	if err != nil {
		return err
	}
	if len(orders) != 1 {
		return fmt.Errorf("%s has %d orders, it must be 1", account, len(orders))
	}
	if err := after.must(before.bought(price, 1)); err != nil {
		return err
	}
	d.print.held("both answers name order %s, and it is the only one", first.GetOrderId())
	return nil
}
