package bench

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

// Answer serves an account and a stock service on l that answer at once, until ctx ends: they keep nothing,
// check nothing and have no interceptors, so what an order takes with them is the coordinator's share.
func Answer(ctx context.Context, l net.Listener) error {
	server := grpc.NewServer()
	accountpb.RegisterAccountServiceServer(server, answeringAccount{})
	stockpb.RegisterStockServiceServer(server, &answeringStock{})
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(l); err != nil {
		return fmt.Errorf("bench: answer: %w", err)
	}
	return nil
}

type answeringAccount struct {
	accountpb.UnimplementedAccountServiceServer
}

func (answeringAccount) TryDebit(context.Context, *accountpb.DebitRequest) (*accountpb.TryDebitResponse, error) {
	return &accountpb.TryDebitResponse{}, nil
}

func (answeringAccount) ConfirmDebit(context.Context, *accountpb.DebitRequest) (*accountpb.ConfirmDebitResponse, error) {
	return &accountpb.ConfirmDebitResponse{}, nil
}

func (answeringAccount) CancelDebit(context.Context, *accountpb.DebitRequest) (*accountpb.CancelDebitResponse, error) {
	return &accountpb.CancelDebitResponse{}, nil
}

// answeringStock counts, so that it can be told when all orders have been carried out.
type answeringStock struct {
	stockpb.UnimplementedStockServiceServer
	reserved, sold atomic.Int64
}

func (s *answeringStock) TryReserve(_ context.Context, req *stockpb.ReserveRequest) (*stockpb.TryReserveResponse, error) {
	s.reserved.Add(pieces(req))
	return &stockpb.TryReserveResponse{}, nil
}

func (s *answeringStock) ConfirmReserve(_ context.Context, req *stockpb.ReserveRequest) (*stockpb.ConfirmReserveResponse, error) {
	s.reserved.Add(-pieces(req))
	s.sold.Add(pieces(req))
	return &stockpb.ConfirmReserveResponse{}, nil
}

func (s *answeringStock) CancelReserve(_ context.Context, req *stockpb.ReserveRequest) (*stockpb.CancelReserveResponse, error) {
	s.reserved.Add(-pieces(req))
	return &stockpb.CancelReserveResponse{}, nil
}

func (s *answeringStock) ListItems(context.Context, *stockpb.ListItemsRequest) (*stockpb.ListItemsResponse, error) {
	return &stockpb.ListItemsResponse{Items: []*stockpb.Item{{Sku: "all", Reserved: s.reserved.Load(), Sold: s.sold.Load()}}}, nil
}

func pieces(req *stockpb.ReserveRequest) (n int64) {
	for _, l := range req.GetLines() {
		n += l.GetQuantity()
	}
	return n
}
