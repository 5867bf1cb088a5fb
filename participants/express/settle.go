package express

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// settle handles what stock answers.
func (s *Service) settle(_ context.Context, msg *message.Message) (inbox.Work, error) {
	return func(ctx context.Context, tx *inbox.Tx) error {
		result, first, err := s.outbox.Settle(ctx, tx, msg)
		if err != nil || !first {
			return err
		}
		// The key, as the id, is the order's.
		if result.Failed {
			return s.close(ctx, tx, result.Key, pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CANCELLED, fit(result.Reason))
		}
		return s.close(ctx, tx, result.Key, pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CONFIRMED, nil)
	}, nil
}

// close moves an order from PENDING to a status.
func (s *Service) close(ctx context.Context, tx messaging.Tx, id string, status pb.ExpressOrderStatus, reason any) error {
	res, err := tx.ExecContext(ctx, "UPDATE express_order SET status = ?, reason = ?, settled_at = "+s.db.Dialect().Now()+" WHERE order_id = ? AND status = ?",
		status, reason, id, pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_PENDING)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		// Its message was not settled, so somebody has changed it by hand.
		err = messaging.Permanent(fmt.Errorf("express order %s is not PENDING, and cannot become %s", id, status))
	}
	return err
}

// maxReason is what the column holds, in characters.
const maxReason = 255

// fit returns a reason, which comes from elsewhere, as the column can hold it.
func fit(reason string) string {
	reason = strings.ToValidUTF8(reason, "?")
	if utf8.RuneCountInString(reason) > maxReason {
		reason = string([]rune(reason)[:maxReason])
	}
	return reason
}
