package dispatch

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/tcc"
)

// Consumers are what the service does when messages come.
func (s *Service) Consumers() []event.Consumer {
	return []event.Consumer{{Name: "dispatch", Topic: event.TopicOrderConfirmed, Handler: s.orderConfirmed}}
}

// orderConfirmed makes the shipment of an order.
func (s *Service) orderConfirmed(ctx context.Context, msg *message.Message) (inbox.Work, error) {
	e := &orderpb.OrderConfirmed{}
	if err := event.Decode(msg, e); err != nil {
		return nil, err
	}
	if err := tcc.ValidateGID(e.GetOrderId()); err != nil {
		return nil, messaging.Permanent(fmt.Errorf("order_id: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	order, err := s.orders.confirmed(ctx, e)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("shipment id: %w", err)
	}
	return func(ctx context.Context, tx *inbox.Tx) error { return s.store.ship(ctx, tx, id.String(), order) }, nil
}
