package demo

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// There is not enough in stock: nothing changes, neither here nor there.
func (d *demo) rejectForStock(ctx context.Context) error {
	account, sku := d.shop.name("bob"), d.shop.name("samovar")
	d.print.line("%s can pay for 5 of %s, but there are 3.", account, sku)
	info, err := d.rejected(ctx, account, 100_000, sku, 12_000, 3, 5)
	if err != nil {
		return err
	}
	if info.GetReason() != "INSUFFICIENT_STOCK" || info.GetMetadata()["available"] != "3" {
		return fmt.Errorf("rejected with %s %v, want INSUFFICIENT_STOCK with 3 available", info.GetReason(), info.GetMetadata())
	}
	d.print.held("rejected by %s: %s, %s available; balance and stock are unchanged",
		info.GetMetadata()["service"], info.GetReason(), info.GetMetadata()["available"])
	return nil
}

// There is not enough in the account.
func (d *demo) rejectForBalance(ctx context.Context) error {
	account, sku := d.shop.name("carol"), d.shop.name("kettle")
	d.print.line("There are 10 of %s at 35.00, but %s has 20.00 %s.", sku, account, currency)
	info, err := d.rejected(ctx, account, 2000, sku, 3500, 10, 1)
	if err != nil {
		return err
	}
	if info.GetReason() != "INSUFFICIENT_BALANCE" {
		return fmt.Errorf("rejected with %s %v, want INSUFFICIENT_BALANCE", info.GetReason(), info.GetMetadata())
	}
	d.print.held("rejected by %s: %s; balance and stock are unchanged", info.GetMetadata()["service"], info.GetReason())
	return nil
}

// rejected places an order that cannot be fulfilled and returns why it was not.
func (d *demo) rejected(ctx context.Context, account string, balance int64, sku string, price, stock, pieces int64) (*errdetails.ErrorInfo, error) {
	if err := d.shop.open(ctx, account, balance); err != nil {
		return nil, err
	}
	if err := d.shop.supply(ctx, sku, price, stock); err != nil {
		return nil, err
	}
	before, err := d.shop.figures(ctx, account, sku)
	if err != nil {
		return nil, err
	}
	_, err = d.shop.place(ctx, "order-"+account, account, sku, pieces)
	info, err := rejection(err)
	if err != nil {
		return nil, err
	}
	// What the other participant had set aside is given back by its Cancel, which follows the answer.
	var after figures
	err = until(ctx, "what was tried is given back", func(ctx context.Context) (bool, error) {
		after, err = d.shop.figures(ctx, account, sku)
		return err == nil && after.must(before.numbers()) == nil, err
	})
	if err != nil {
		return nil, err
	}
	d.print.compare([]string{"before", "after"}, before, after)
	return info, nil
}
