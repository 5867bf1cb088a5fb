package stock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// Consumers are the messages that the service handles, each by an inbox of its
// name in the service's database. Without an outbox there are none.
func (s *Service) Consumers() []event.Consumer {
	if s.outbox == nil {
		return nil
	}
	return []event.Consumer{{Name: "stock-express", Topic: event.TopicExpressTake, Handler: s.take}}
}

// take handles an express order: it takes all of its lines out or none, and
// answers which.
func (s *Service) take(_ context.Context, msg *message.Message) (inbox.Work, error) {
	var req expresspb.TakeRequested
	if err := event.Decode(msg, &req); err != nil {
		return nil, err
	}
	// Every express order locks its rows in this order.
	lines := slices.SortedFunc(slices.Values(req.GetLines()), func(a, b *orderpb.LineItem) int { return strings.Compare(a.GetSku(), b.GetSku()) })
	return func(ctx context.Context, tx *inbox.Tx) error {
		err := takeAll(ctx, tx, lines)
		var short *shortError
		if err != nil && !errors.As(err, &short) {
			return err
		}
		reason := ""
		if short != nil {
			reason = short.Error()
		}
		answer, expected := outbox.ResultOf(msg, short != nil, reason)
		if !expected {
			return messaging.Permanent(fmt.Errorf("express order %s names no topic for the result", req.GetOrderId()))
		}
		return s.outbox.Write(ctx, tx, answer)
	}, nil
}

// shortError says which line cannot be taken out, and why.
type shortError struct{ reason, message string }

func (e *shortError) Error() string { return e.reason + ": " + e.message }

// takeAll takes the lines out, or leaves everything as it was and returns a
// *shortError.
func takeAll(ctx context.Context, tx messaging.Tx, lines []*orderpb.LineItem) error {
	if len(lines) == 1 {
		return takeOne(ctx, tx, lines[0])
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT take"); err != nil {
		return err
	}
	for _, l := range lines {
		err := takeOne(ctx, tx, l)
		var short *shortError
		if errors.As(err, &short) {
			// A refusal of which a part was taken would be neither.
			if _, undoErr := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT take"); undoErr != nil {
				return undoErr
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func takeOne(ctx context.Context, tx messaging.Tx, l *orderpb.LineItem) error {
	n := l.GetQuantity()
	res, err := tx.ExecContext(ctx, "UPDATE item SET available = available - ?, sold = sold + ? WHERE sku = ? AND available >= ?", n, n, l.GetSku(), n)
	if err != nil {
		return err
	}
	rows, err := res.RowsAffected()
	if err != nil || rows == 1 {
		return err
	}
	item, err := find(ctx, tx, l.GetSku())
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown):
		return &shortError{ReasonUnknownSKU, unknown.Error()}
	case err != nil:
		return err
	case item.GetAvailable() >= n:
		// Somebody gave pieces back between the two statements.
		return messaging.Unavailable(fmt.Errorf("item %s changed while it was taken out", l.GetSku()))
	}
	return &shortError{ReasonInsufficientStock, fmt.Sprintf("%d of %s are available, %d are needed", item.GetAvailable(), l.GetSku(), n)}
}
