package bank

import (
	"context"
	"fmt"
	"math"
	"regexp"

	"github.com/ThreeDotsLabs/watermill/message"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// settle handles another bank's answer to a transfer.
func (s *Service) settle(_ context.Context, msg *message.Message) (inbox.Work, error) {
	var settled pb.TransferSettled
	if err := event.Decode(msg, &settled); err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *inbox.Tx) error {
		if settled.GetCredited() {
			return s.close(ctx, tx, &settled, pb.TransferStatus_TRANSFER_STATUS_CREDITED)
		}
		return s.close(ctx, tx, &settled, pb.TransferStatus_TRANSFER_STATUS_REFUNDED)
	}, nil
}

// close moves a transfer from SENT to a status, which happens once, and pays
// back if that is REFUNDED.
func (s *Service) close(ctx context.Context, tx messaging.Tx, settled *pb.TransferSettled, status pb.TransferStatus) error {
	id := settled.GetTransferId()
	var reason any
	if status == pb.TransferStatus_TRANSFER_STATUS_REFUNDED {
		reason = reasonOf(settled)
	}
	n, err := affected(tx.ExecContext(ctx, "UPDATE transfer SET status = ?, reason = ?, settled_at = "+s.db.Dialect().Now()+
		" WHERE transfer_id = ? AND to_bank = ? AND status = ?", status, reason, id, settled.GetBy(), pb.TransferStatus_TRANSFER_STATUS_SENT))
	if err != nil {
		return err
	}
	t, err := findTransfer(ctx, tx, id)
	switch {
	case err != nil:
		return err
	case t == nil:
		return messaging.Permanent(fmt.Errorf("bank %s answers transfer %s, which bank %s has not sent", settled.GetBy(), id, s.cfg.Name))
	case t.GetToBank() != settled.GetBy():
		return messaging.Permanent(fmt.Errorf("bank %s answers transfer %s, which was sent to bank %s", settled.GetBy(), id, t.GetToBank()))
	case t.GetStatus() != status:
		return messaging.Permanent(fmt.Errorf("transfer %s is %s, and bank %s now answers otherwise", id, t.GetStatus(), settled.GetBy()))
	case n == 0 || status != pb.TransferStatus_TRANSFER_STATUS_REFUNDED:
		return nil
	}
	return refund(ctx, tx, t)
}

// refund pays a transfer back, also to an account that was closed meanwhile.
func refund(ctx context.Context, tx messaging.Tx, t *pb.Transfer) error {
	id, amount := t.GetFromAccountId(), t.GetAmount()
	n, err := affected(tx.ExecContext(ctx, "UPDATE account SET balance = balance + ? WHERE account_id = ? AND currency = ? AND balance <= ?",
		amount.GetAmount(), id, amount.GetCurrency(), math.MaxInt64-amount.GetAmount()))
	if err != nil || n == 1 {
		return err
	}
	return messaging.Permanent(fmt.Errorf("transfer %s cannot be paid back: account %s is gone, or too full for %d %s", t.GetTransferId(), id, amount.GetAmount(), amount.GetCurrency()))
}

// reasonOf returns the reason of a refusal if it is one, for it comes from
// elsewhere.
func reasonOf(settled *pb.TransferSettled) string {
	if r := settled.GetReason(); regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`).MatchString(r) {
		return r
	}
	return "UNKNOWN_REASON"
}
