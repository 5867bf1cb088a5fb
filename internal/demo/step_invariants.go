package demo

import (
	"context"
	"errors"
	"fmt"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/stack"
)

// sums are what all accounts and items of this run add up to.
type sums struct {
	deposited, available, frozen, spent int64
	put, onShelf, reserved, sold        int64
	orders, ordered, pieces             int64 // of the confirmed orders
	shipped                             int64 // shipments
}

// After all of this nothing is lost, nothing is made from nothing, nothing is left halfway.
func (d *demo) invariants(ctx context.Context) error {
	var s sums
	err := until(ctx, "nothing is frozen or reserved, and all is dispatched", func(ctx context.Context) (bool, error) {
		var err error
		s, err = d.shop.sums(ctx)
		return s.frozen == 0 && s.reserved == 0 && s.shipped == s.orders, err
	})
	if err != nil {
		return err
	}
	d.print.table([][]string{
		{"money", "deposited", euros(s.deposited)},
		{"", "available", euros(s.available)},
		{"", "frozen", euros(s.frozen)},
		{"", "spent", euros(s.spent)},
		{"goods", "put in", thousands(s.put)},
		{"", "available", thousands(s.onShelf)},
		{"", "reserved", thousands(s.reserved)},
		{"", "sold", thousands(s.sold)},
		{"orders", "confirmed", thousands(s.orders)},
		{"", "their total", euros(s.ordered)},
		{"", "their pieces", thousands(s.pieces)},
		{"", "dispatched", thousands(s.shipped)},
		{"express", "pieces", thousands(d.shop.expressPieces)},
	})
	var errs []error
	check := func(holds bool, text string) {
		if holds {
			d.print.held("%s", text)
		} else {
			errs = append(errs, errors.New("it does not hold that "+text))
		}
	}
	check(s.deposited == s.available+s.frozen+s.spent && s.spent == s.ordered, "all money is where it belongs: what is spent is what the confirmed orders cost")
	check(s.put == s.onShelf+s.reserved+s.sold && s.sold == s.pieces+d.shop.expressPieces, "all goods are where they belong: what is sold is what the confirmed orders contain")
	check(s.frozen == 0 && s.reserved == 0, "nothing is frozen, nothing is reserved")
	check(s.shipped == s.orders, "each confirmed order has one shipment")
	stuck := 0
	for _, name := range stack.Services() {
		n, err := d.stuck(ctx, d.stack.Service(name))
		if err != nil {
			return err
		}
		stuck += n
	}
	check(stuck == 0, "no branch is left halfway (tcckit barrier stuck, on each database)")
	waiting, dead, err := d.unhandled(ctx)
	if err != nil {
		return err
	}
	check(waiting == 0, "no message waits, none was given up (tcckit outbox list, on each database)")
	check(dead == 0, "no message could not be handled (tcckit deadletter list, on each database)")
	return errors.Join(errs...)
}

func (c *shop) sums(ctx context.Context) (s sums, err error) {
	for id, deposited := range c.deposited {
		resp, err := c.accounts.GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: id})
		if err != nil {
			return s, fmt.Errorf("read account %s: %w", id, err)
		}
		a := resp.GetAccount()
		s.deposited += deposited
		s.available += a.GetAvailable()
		s.frozen += a.GetFrozen()
		s.spent += a.GetSpent()
		orders, err := c.list(ctx, id)
		if err != nil {
			return s, err
		}
		for _, o := range orders {
			s.count(o)
		}
		shipments, err := c.shipped(ctx, id)
		if err != nil {
			return s, err
		}
		s.shipped += int64(len(shipments))
	}
	for sku, put := range c.put {
		resp, err := c.items.GetItem(ctx, &stockpb.GetItemRequest{Sku: sku})
		if err != nil {
			return s, fmt.Errorf("read item %s: %w", sku, err)
		}
		s.put += put
		s.onShelf += resp.GetItem().GetAvailable()
		s.reserved += resp.GetItem().GetReserved()
		s.sold += resp.GetItem().GetSold()
	}
	return s, nil
}

// count adds an order, if it is confirmed.
func (s *sums) count(o *orderpb.Order) {
	if o.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
		return
	}
	s.orders++
	s.ordered += o.GetTotal().GetAmount()
	for _, l := range o.GetLines() {
		s.pieces += l.GetQuantity()
	}
}
