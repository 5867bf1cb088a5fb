package bank

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ThreeDotsLabs/watermill/message"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// credit handles a message that asks this bank to credit.
func (s *Service) credit(_ context.Context, msg *message.Message) (inbox.Work, error) {
	var sent pb.TransferSent
	if err := event.Decode(msg, &sent); err != nil {
		return nil, err
	}
	if !slices.Contains(s.cfg.Peers, sent.GetFromBank()) {
		return nil, messaging.Permanent(fmt.Errorf("transfer %s comes from a bank %q, which bank %s does not know", sent.GetTransferId(), sent.GetFromBank(), s.cfg.Name))
	}
	return func(ctx context.Context, tx *inbox.Tx) error {
		reason, err := s.book(ctx, tx, &sent)
		if err != nil {
			return err
		}
		return s.answer(ctx, tx, &sent, reason)
	}, nil
}

// book credits a transfer the first time that it is told of it, and returns why
// it did not, "" if it did. Later it returns the same without doing anything.
func (s *Service) book(ctx context.Context, tx messaging.Tx, sent *pb.TransferSent) (reason string, err error) {
	id, to, amount := sent.GetTransferId(), sent.GetToAccountId(), sent.GetAmount()
	n, err := affected(tx.ExecContext(ctx, insertOnce(s.db.Dialect(),
		"INSERT INTO booking (transfer_id, from_bank, account_id, amount, currency, booked_at) VALUES (?, ?, ?, ?, ?, "+s.db.Dialect().Now()+")", "transfer_id"),
		id, sent.GetFromBank(), to, amount.GetAmount(), amount.GetCurrency()))
	if err != nil {
		return "", err
	}
	if n == 0 {
		return booked(ctx, tx, sent)
	}
	// What is left below 2^63, so that a sum never overflows.
	n, err = affected(tx.ExecContext(ctx, "UPDATE account SET balance = balance + ? WHERE account_id = ? AND currency = ? AND closed = 0 AND balance <= ?",
		amount.GetAmount(), to, amount.GetCurrency(), math.MaxInt64-amount.GetAmount()))
	if err != nil || n == 1 {
		return "", err
	}
	if reason, err = whyNotCredited(ctx, tx, sent); err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, "UPDATE booking SET reason = ? WHERE transfer_id = ?", reason, id)
	return reason, err
}

// booked returns what became of a transfer that was booked before. It must have
// been the same one.
func booked(ctx context.Context, tx messaging.Tx, sent *pb.TransferSent) (string, error) {
	var (
		from, account, currency string
		amount                  int64
		reason                  sql.NullString
	)
	err := tx.QueryRowContext(ctx, "SELECT from_bank, account_id, amount, currency, reason FROM booking WHERE transfer_id = ?", sent.GetTransferId()).
		Scan(&from, &account, &amount, &currency, &reason)
	if err != nil {
		return "", err
	}
	if from != sent.GetFromBank() || account != sent.GetToAccountId() || amount != sent.GetAmount().GetAmount() || currency != sent.GetAmount().GetCurrency() {
		return "", messaging.Permanent(fmt.Errorf("transfer %s was booked before as %d %s from bank %s for account %s, and is now told otherwise",
			sent.GetTransferId(), amount, currency, from, account))
	}
	return reason.String, nil
}

// whyNotCredited returns the reason for which an account could not be credited.
func whyNotCredited(ctx context.Context, tx messaging.Tx, sent *pb.TransferSent) (string, error) {
	id, amount := sent.GetToAccountId(), sent.GetAmount()
	a, err := findAccount(ctx, tx, id)
	if err != nil {
		return "", err
	}
	if w := against(a, id, amount.GetCurrency()); w != nil {
		return w.reason, nil
	}
	if a.GetBalance().GetAmount() > math.MaxInt64-amount.GetAmount() {
		return ReasonBalanceOverflow, nil
	}
	return "", changed(id)
}

// answer tells the other bank what became of a transfer. A message that was
// booked before is answered again, for whoever sends it again may not have got
// the first answer.
func (s *Service) answer(ctx context.Context, tx messaging.Tx, sent *pb.TransferSent, reason string) error {
	payload, err := event.Encode(&pb.TransferSettled{TransferId: sent.GetTransferId(), By: s.cfg.Name, Credited: reason == "", Reason: reason})
	if err != nil {
		return err
	}
	err = s.cfg.Outbox.Write(ctx, tx, outbox.Message{Topic: event.TopicSettled(sent.GetFromBank()), Key: sent.GetTransferId(), Payload: payload})
	if err != nil {
		return errors.Join(fmt.Errorf("answer transfer %s", sent.GetTransferId()), err)
	}
	return nil
}
