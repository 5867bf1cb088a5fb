package dispatch

import (
	"context"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/pagetoken"
	"github.com/tcckit/tcckit/tcc"
)

const defaultPageSize = 50

// ReasonUnknownShipment is the reason with which GetShipment answers NOT_FOUND.
const ReasonUnknownShipment = "UNKNOWN_SHIPMENT"

// GetShipment reads the shipment of an order.
func (s *Service) GetShipment(ctx context.Context, req *pb.GetShipmentRequest) (*pb.GetShipmentResponse, error) {
	id := req.GetOrderId()
	// An order's id is a gid: what is none is no order.
	if tcc.ValidateGID(id) == nil {
		found, err := s.store.ofOrder(ctx, id)
		if err != nil {
			return nil, database.Transient(err)
		}
		if found != nil {
			return &pb.GetShipmentResponse{Shipment: found}, nil
		}
	}
	return nil, rpc.Error(codes.NotFound, ReasonUnknownShipment, "there is no shipment of this order, or none yet", map[string]string{"order_id": id})
}

// ListShipments lists the shipments of an account, newest first.
func (s *Service) ListShipments(ctx context.Context, req *pb.ListShipmentsRequest) (*pb.ListShipmentsResponse, error) {
	// A token is good for the list that it was given for only.
	scope := "shipments\x00" + req.GetAccountId()
	before, err := pagetoken.Decode(scope, req.GetPageToken())
	if err != nil {
		return nil, rpc.Error(codes.InvalidArgument, "BAD_PAGE_TOKEN", err.Error(), nil)
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = defaultPageSize
	}
	// One more than the page tells whether there is another one.
	found, err := s.store.list(ctx, req.GetAccountId(), before, size+1)
	if err != nil {
		return nil, database.Transient(err)
	}
	resp := &pb.ListShipmentsResponse{Shipments: found}
	if len(found) > size {
		resp.Shipments = found[:size]
		resp.NextPageToken = pagetoken.Encode(scope, found[size-1].GetShipmentId())
	}
	return resp, nil
}
