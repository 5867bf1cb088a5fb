package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/internal/stack"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// relayLease is after what time the message of a process that was killed is published by another one. By
// default it is longer, but nobody wants to wait for that here.
const relayLease = 5 * time.Second

// The process of order, cart and dispatch dies after it has confirmed an order, and before anything else was
// done. The moment is not hoped for: locks on the tables of cart and dispatch keep them from their work.
func (d *demo) killFollowers(ctx context.Context) (err error) {
	account, globe := d.shop.name("grace"), d.shop.name("globe")
	if err := d.stockUp(ctx, account, 50_000, 2500, globe); err != nil {
		return err
	}
	line, err := d.shop.addToCart(ctx, account, globe, 2)
	if err != nil {
		return err
	}
	service := d.stack.Service(stack.Order)
	release, err := d.holdFollowers(ctx, service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	d.print.line("%s orders the cart, %s. The tables of cart and dispatch are locked from now on.", account, cartText([]*cartpb.CartLine{line}))
	order, err := d.shop.placeCart(ctx, account, line)
	if err != nil {
		return err
	}
	cart, err := d.shop.cart(ctx, account)
	if err != nil {
		return err
	}
	shipment, err := d.shop.shipment(ctx, order.GetOrderId())
	if err != nil {
		return err
	}
	if len(cart) != 1 || shipment != nil {
		return fmt.Errorf("cart or dispatch has done its work although its table is locked: %d lines, shipment %s", len(cart), shipment)
	}
	d.print.held("order %s is CONFIRMED; the cart is still full, and there is no shipment", order.GetOrderId())
	pid := service.PID()
	if err := service.Kill(); err != nil {
		return err
	}
	state, err := d.announced(ctx, order.GetOrderId())
	if err != nil {
		return err
	}
	d.print.held("kill -9 %d: order, cart and dispatch are gone; in the order's outbox the message is %s", pid, state)

	begin := time.Now()
	if err := release(); err != nil {
		return err
	}
	if err := service.Start(ctx); err != nil {
		return err
	}
	d.print.line("The locks are released, and the process is started again.")
	if _, shipment, err = d.awaitFollowers(ctx, order, nil); err != nil {
		return err
	}
	took := time.Since(begin)
	err = until(ctx, "the message is SENT", func(ctx context.Context) (bool, error) {
		state, err = d.announced(ctx, order.GetOrderId())
		return state == outbox.StateSent, err
	})
	if err != nil {
		return err
	}
	d.print.held("%s later the cart is empty, shipment %s is made, once, and the message is %s", took.Round(100*time.Millisecond), shipment.GetShipmentId(), state)
	return nil
}

// holdFollowers locks what cart and dispatch write to. Release may be called again.
func (d *demo) holdFollowers(ctx context.Context, service *stack.Service) (release func() error, err error) {
	var held []func() error
	release = func() (err error) {
		for _, r := range held {
			err = errors.Join(err, r())
		}
		held = nil
		return err
	}
	for name, table := range map[string]string{"cart": "cart_line", "dispatch": "shipment"} {
		r, err := hold(ctx, service.Databases()[name], table)
		if err != nil {
			return nil, errors.Join(err, release())
		}
		held = append(held, r)
	}
	return release, nil
}

// announced is the state of the message that announces an order.
func (d *demo) announced(ctx context.Context, order string) (outbox.State, error) {
	rows, err := listed[outbox.Row](ctx, d, d.stack.Service(stack.Order).Database, "outbox", "list", "--state=NEW,SENT,FAILED", "--limit=100000")
	if err != nil {
		return "", err
	}
	for _, r := range rows {
		if r.Key == order {
			return r.State, nil
		}
	}
	return "", fmt.Errorf("order %s is not in the outbox", order)
}
