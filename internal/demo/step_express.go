package demo

import (
	"context"
	"fmt"
	"time"

	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

// Express orders are for stock alone and need no coordinator: a message asks, a message answers.
func (d *demo) expressOrders(ctx context.Context) error {
	const pieces = 10
	account, sku := d.shop.name("heidi"), d.shop.name("stamp")
	if err := d.shop.supply(ctx, sku, 100, pieces); err != nil {
		return err
	}
	d.print.line("There are %d of %s. %s orders 4 of them, and then 7.", pieces, sku, account)
	confirmed, took, err := d.shop.placeExpress(ctx, account, sku, 4)
	if err != nil {
		return err
	}
	if confirmed.GetStatus() != expresspb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CONFIRMED {
		return fmt.Errorf("express order %s is %s (%s), it must be CONFIRMED", confirmed.GetOrderId(), confirmed.GetStatus(), confirmed.GetReason())
	}
	d.print.held("express order %s is PENDING, and %s later CONFIRMED", confirmed.GetOrderId(), took.Round(time.Millisecond))
	cancelled, _, err := d.shop.placeExpress(ctx, account, sku, 7)
	if err != nil {
		return err
	}
	if cancelled.GetStatus() != expresspb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CANCELLED {
		return fmt.Errorf("express order %s is %s, it must be CANCELLED", cancelled.GetOrderId(), cancelled.GetStatus())
	}
	d.print.held("express order %s is CANCELLED: %s", cancelled.GetOrderId(), cancelled.GetReason())
	resp, err := d.shop.items.GetItem(ctx, &stockpb.GetItemRequest{Sku: sku})
	if err != nil {
		return fmt.Errorf("read item %s: %w", sku, err)
	}
	item := resp.GetItem()
	if item.GetAvailable() != pieces-4 || item.GetSold() != 4 {
		return fmt.Errorf("%d of %s are available and %d sold, it must be %d and 4", item.GetAvailable(), sku, item.GetSold(), pieces-4)
	}
	d.print.held("%d are available, %d are sold", item.GetAvailable(), item.GetSold())
	return nil
}

// placeExpress places an express order and waits until stock has answered.
func (f *followers) placeExpress(ctx context.Context, account, sku string, quantity int64) (*expresspb.ExpressOrder, time.Duration, error) {
	resp, err := f.express.PlaceExpressOrder(ctx, &expresspb.PlaceExpressOrderRequest{
		RequestId: fmt.Sprintf("express-%s-%d", account, quantity), AccountId: account, Lines: []*orderpb.LineItem{{Sku: sku, Quantity: quantity}},
	})
	if err != nil {
		return nil, 0, fmt.Errorf("place an express order: %w", err)
	}
	order, begin := resp.GetOrder(), time.Now()
	err = until(ctx, "express order "+order.GetOrderId()+" is answered", func(ctx context.Context) (bool, error) {
		resp, err := f.express.GetExpressOrder(ctx, &expresspb.GetExpressOrderRequest{OrderId: order.GetOrderId()})
		order = resp.GetOrder()
		return order.GetStatus() != expresspb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_PENDING, err
	})
	if order.GetStatus() == expresspb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CONFIRMED {
		f.expressPieces += quantity
	}
	return order, time.Since(begin), err
}
