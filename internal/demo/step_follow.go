package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// A confirmed order is announced: cart removes what was ordered and nothing else, dispatch makes a shipment.
func (d *demo) follow(ctx context.Context) error {
	account, vase, bowl := d.shop.name("frank"), d.shop.name("vase"), d.shop.name("bowl")
	if err := d.stockUp(ctx, account, 50_000, 1500, vase, bowl); err != nil {
		return err
	}
	var lines []*cartpb.CartLine
	for i, sku := range []string{vase, bowl, vase} {
		line, err := d.shop.addToCart(ctx, account, sku, int64(3-i))
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	d.print.line("%s has in the cart: %s. All but the last is ordered.", account, cartText(lines))
	order, err := d.shop.placeCart(ctx, account, lines[0], lines[1])
	if err != nil {
		return err
	}
	d.print.held("order %s is CONFIRMED", order.GetOrderId())
	begin := time.Now()
	cart, shipment, err := d.awaitFollowers(ctx, order, lines[2:])
	if err != nil {
		return err
	}
	d.print.held("%s later the cart has what was not ordered: %s", time.Since(begin).Round(time.Millisecond), cartText(cart))
	d.print.held("and shipment %s has what was: %s", shipment.GetShipmentId(), shipmentText(shipment))
	return nil
}

// stockUp opens an account, and puts ten pieces of each item into stock.
func (d *demo) stockUp(ctx context.Context, account string, balance, price int64, skus ...string) error {
	if err := d.shop.open(ctx, account, balance); err != nil {
		return err
	}
	for _, sku := range skus {
		if err := d.shop.supply(ctx, sku, price, 10); err != nil {
			return err
		}
	}
	return nil
}

// awaitFollowers waits until the order's cart has the lines given, and the order one shipment of all its lines.
func (d *demo) awaitFollowers(ctx context.Context, order *orderpb.Order, left []*cartpb.CartLine) (cart []*cartpb.CartLine, shipment *dispatchpb.Shipment, err error) {
	account := order.GetAccountId()
	err = until(ctx, "cart and dispatch have done their work", func(ctx context.Context) (bool, error) {
		var err error
		if cart, err = d.shop.cart(ctx, account); err != nil {
			return false, err
		}
		if shipment, err = d.shop.shipment(ctx, order.GetOrderId()); err != nil {
			return false, err
		}
		return shipment != nil && cartText(cart) == cartText(left), nil
	})
	if err != nil {
		return nil, nil, err
	}
	shipments, err := d.shop.shipped(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	var ordered []string
	for _, l := range order.GetLines() {
		ordered = append(ordered, piecesText(l.GetQuantity(), l.GetSku()))
	}
	if len(shipments) != 1 || shipmentText(shipment) != strings.Join(ordered, ", ") {
		return nil, nil, fmt.Errorf("%d shipments of %s, the last of %s: it must be one, of %s", len(shipments), account, shipmentText(shipment), strings.Join(ordered, ", "))
	}
	return cart, shipment, nil
}

func cartText(lines []*cartpb.CartLine) string {
	var all []string
	for _, l := range lines {
		all = append(all, piecesText(l.GetQuantity(), l.GetSku()))
	}
	return strings.Join(all, ", ")
}

func shipmentText(s *dispatchpb.Shipment) string {
	var all []string
	for _, l := range s.GetLines() {
		all = append(all, piecesText(l.GetQuantity(), l.GetSku()))
	}
	return strings.Join(all, ", ")
}

func piecesText(n int64, sku string) string { return thousands(n) + " " + sku }
