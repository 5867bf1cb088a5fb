package cart

import (
	"context"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// Consumers are what the service does when messages come.
func (s *Service) Consumers() []event.Consumer {
	return []event.Consumer{{Name: "cart", Topic: event.TopicOrderConfirmed, Handler: orderConfirmed}}
}

// orderConfirmed takes the lines that were ordered out of the cart. Those that
// are not there, or are another account's, are passed over: the order may have
// been made from lines that its account removed since.
func orderConfirmed(_ context.Context, msg *message.Message) (inbox.Work, error) {
	e := &orderpb.OrderConfirmed{}
	if err := event.Decode(msg, e); err != nil {
		return nil, err
	}
	args := []any{e.GetAccountId()}
	for _, line := range e.GetCartLineIds() {
		// What is no id of ours is no line, and MySQL refuses to compare its
		// column with what is not ASCII.
		if uuid.Validate(line) == nil {
			args = append(args, line)
		}
	}
	lines := len(args) - 1
	if lines == 0 {
		return nil, nil // it was not made from a cart
	}
	query := "DELETE FROM cart_line WHERE account_id = ? AND line_id IN (?" + strings.Repeat(", ?", lines-1) + ")"
	return func(ctx context.Context, tx *inbox.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}, nil
}
