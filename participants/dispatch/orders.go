package dispatch

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/messaging"
)

// orders asks the order service.
type orders struct{ client pb.OrderServiceClient }

func newOrders(conn grpc.ClientConnInterface) *orders {
	return &orders{client: pb.NewOrderServiceClient(conn)}
}

// confirmed returns the order that a message announced, as the order service
// has it. If it has lost the order it is asked to make it again. The errors say
// what is to become of the message: messaging.ErrUnavailable to try again
// without counting it, messaging.ErrPermanent to give it up, any other to try
// again a number of times.
func (o *orders) confirmed(ctx context.Context, event *pb.OrderConfirmed) (*pb.Order, error) {
	order, err := o.get(ctx, event.GetOrderId())
	if err != nil || order != nil {
		return order, err
	}
	if err := o.restore(ctx, event); err != nil {
		return nil, err
	}
	if order, err = o.get(ctx, event.GetOrderId()); err != nil || order != nil {
		return order, err
	}
	return nil, messaging.Unavailable(fmt.Errorf("order %s was restored and cannot be read yet", event.GetOrderId()))
}

// get reads a confirmed order, nil if there is no such order.
func (o *orders) get(ctx context.Context, id string) (*pb.Order, error) {
	resp, err := o.client.GetOrder(ctx, &pb.GetOrderRequest{OrderId: id})
	switch status.Code(err) {
	case codes.OK:
		return resp.GetOrder(), judge(resp.GetOrder(), id)
	case codes.NotFound:
		return nil, nil
	}
	return nil, failed(fmt.Errorf("ask for order %s: %w", id, err))
}

// judge says whether an order may be shipped.
func judge(order *pb.Order, id string) error {
	switch got := order.GetStatus(); got {
	case pb.OrderStatus_ORDER_STATUS_CONFIRMED:
		if order.GetOrderId() != id || len(order.GetLines()) == 0 {
			return fmt.Errorf("asked for order %s the order service gave order %q with %d lines", id, order.GetOrderId(), len(order.GetLines()))
		}
		return nil
	case pb.OrderStatus_ORDER_STATUS_PENDING:
		// The order and its message were committed together as CONFIRMED: the
		// answer is of a replica that has not seen it yet.
		return messaging.Unavailable(fmt.Errorf("order %s is not confirmed yet where it was read", id))
	case pb.OrderStatus_ORDER_STATUS_CANCELLED:
		return messaging.Permanent(fmt.Errorf("order %s is cancelled (%s), although a message says that it was confirmed", id, order.GetReason()))
	default:
		return fmt.Errorf("order %s has the status %s, of which dispatch knows nothing", id, got)
	}
}

// restore has the order service make an order again.
func (o *orders) restore(ctx context.Context, event *pb.OrderConfirmed) error {
	_, err := o.client.RestoreOrder(ctx, &pb.RestoreOrderRequest{Event: event})
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.FailedPrecondition:
		return messaging.Permanent(fmt.Errorf("order %s is not there, and is not restored: %s", event.GetOrderId(), why(err)))
	}
	return failed(fmt.Errorf("restore order %s: %w", event.GetOrderId(), err))
}

// failed marks the error of a call with which any message's would have failed.
func failed(err error) error {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return messaging.Unavailable(err)
	}
	return err
}

// why is what a status says to people, after its reason.
func why(err error) string {
	st := status.Convert(err)
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason() + ": " + st.Message()
		}
	}
	return st.Message()
}
