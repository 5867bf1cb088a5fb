package order

import (
	"context"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/pagetoken"
	"github.com/tcckit/tcckit/tcc"
)

const defaultPageSize = 50

// GetOrder reads an order. One that does not exist is NOT_FOUND.
func (s *Service) GetOrder(ctx context.Context, req *pb.GetOrderRequest) (*pb.GetOrderResponse, error) {
	id := req.GetOrderId()
	if tcc.ValidateGID(id) != nil {
		return nil, notFound(id, "there is no such order")
	}
	order, err := s.orders.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if order != nil {
		return &pb.GetOrderResponse{Order: order}, nil
	}
	// PlaceOrder may have answered with an id whose order was not made yet, or
	// with a rejection that came before it.
	order, leased, err := s.orders.attempt(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case order == nil:
		return nil, notFound(id, "there is no such order")
	case order.GetStatus() == pb.OrderStatus_ORDER_STATUS_PENDING && !leased:
		return nil, notFound(id, "the attempt at this order ended before it was made: send its request again")
	}
	return &pb.GetOrderResponse{Order: order}, nil
}

func notFound(id, message string) error {
	return rpc.Error(codes.NotFound, "UNKNOWN_ORDER", message, map[string]string{"order_id": id})
}

// ListOrders lists the orders of an account, newest first.
func (s *Service) ListOrders(ctx context.Context, req *pb.ListOrdersRequest) (*pb.ListOrdersResponse, error) {
	// A token is good for the list that it was given for only.
	scope := "orders\x00" + req.GetAccountId()
	before, err := pagetoken.Decode(scope, req.GetPageToken())
	if err != nil {
		return nil, rpc.Error(codes.InvalidArgument, "BAD_PAGE_TOKEN", err.Error(), nil)
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = defaultPageSize
	}
	// One more than the page tells whether there is another one.
	found, err := s.orders.list(ctx, req.GetAccountId(), before, size+1)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListOrdersResponse{Orders: found}
	if len(found) > size {
		resp.Orders = found[:size]
		resp.NextPageToken = pagetoken.Encode(scope, found[size-1].GetOrderId())
	}
	return resp, nil
}
