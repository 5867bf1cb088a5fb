package express

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// PlaceExpressOrder takes an order, or returns where the one stands that the
// request_id was used for.
func (s *Service) PlaceExpressOrder(ctx context.Context, req *pb.PlaceExpressOrderRequest) (*pb.PlaceExpressOrderResponse, error) {
	id, err := s.place(ctx, req)
	switch {
	case errors.Is(err, database.ErrReused):
		return nil, rpc.Error(codes.AlreadyExists, "REQUEST_ID_REUSED", err.Error(), map[string]string{"request_id": req.GetRequestId()})
	case err != nil:
		return nil, database.Transient(err)
	}
	order, err := find(ctx, s.db.SQL(), id)
	if err != nil {
		return nil, database.Transient(err)
	}
	if order == nil {
		return nil, fmt.Errorf("the express order %s, which its request names, is gone", id)
	}
	return &pb.PlaceExpressOrderResponse{Order: order}, nil
}

// place inserts the order and the message, unless the request has done so
// before, and returns the order's id.
func (s *Service) place(ctx context.Context, req *pb.PlaceExpressOrderRequest) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("express: order id: %w", err)
	}
	order := &pb.ExpressOrder{OrderId: id.String(), RequestId: req.GetRequestId(), AccountId: req.GetAccountId(), Lines: req.GetLines()}
	payload, err := event.Encode(&pb.TakeRequested{OrderId: order.GetOrderId(), Lines: req.GetLines()})
	if err != nil {
		return "", err
	}
	// What is remembered of the request is the order's id: the rest changes.
	resp, err := database.Once(ctx, s.db, req.GetRequestId(), fingerprint(req), func(ctx context.Context, tx *sql.Tx) (*pb.PlaceExpressOrderResponse, error) {
		if err := insert(ctx, tx, s.db.Dialect(), order); err != nil {
			return nil, err
		}
		ask := outbox.Message{ID: order.GetOrderId(), Topic: event.TopicExpressTake, Key: order.GetOrderId(), Payload: payload, ExpectResult: true}
		if err := s.outbox.Write(ctx, tx, ask); err != nil {
			return nil, err
		}
		return &pb.PlaceExpressOrderResponse{Order: &pb.ExpressOrder{OrderId: order.GetOrderId()}}, nil
	})
	if err != nil {
		return "", err
	}
	s.outbox.Wake()
	return resp.GetOrder().GetOrderId(), nil
}

// fingerprint tells one body from another.
func fingerprint(req *pb.PlaceExpressOrderRequest) []byte {
	fields := []string{"PlaceExpressOrder", req.GetAccountId()}
	for _, l := range req.GetLines() {
		fields = append(fields, l.GetSku(), strconv.FormatInt(l.GetQuantity(), 10))
	}
	return database.Fingerprint(fields...)
}
