package bank

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/messaging"
)

// detachedBound bounds the look at what became of a transfer whose call's time
// may be over.
const detachedBound = 2 * time.Second

var (
	// errSent says that another call has sent the transfer.
	errSent = errors.New("the transfer was sent already")
	// errUnsure says that it is not known whether the transfer was sent.
	errUnsure = errors.New("it is not known whether the transfer was sent: send the same again")
)

// Transfer debits an account and has another bank credit one: see the package's
// documentation.
func (s *Service) Transfer(ctx context.Context, req *pb.TransferRequest) (*pb.TransferResponse, error) {
	t, err := s.transfer(ctx, req)
	if err != nil {
		return nil, edge(err, req.GetRequestId())
	}
	return &pb.TransferResponse{Transfer: t}, nil
}

func (s *Service) transfer(ctx context.Context, req *pb.TransferRequest) (*pb.Transfer, error) {
	id := s.transferID(req.GetRequestId())
	t, err := findTransfer(ctx, s.db.SQL(), id)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return recall(t, req)
	}
	var no *refusal
	if err = s.mayTransfer(ctx, req); err == nil {
		err = s.send(ctx, id, req)
	} else if !errors.As(err, &no) {
		return nil, err
	}
	// Sent, by this call or another, or not known: the table knows. Also where
	// the account refuses, for it may be this transfer that it has paid.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), detachedBound)
	defer cancel()
	t, lookErr := findTransfer(ctx, s.db.SQL(), id)
	switch {
	case lookErr == nil && t != nil:
		return recall(t, req)
	case lookErr == nil && errors.As(err, &no):
		return nil, err
	case errors.Is(err, messaging.ErrPermanent):
		return nil, fmt.Errorf("transfer %s cannot be sent: %w", id, err)
	}
	s.cfg.Logger.WarnContext(ctx, "transfer perhaps not sent", "bank", s.cfg.Name, "transfer_id", id, "error", errors.Join(err, lookErr))
	return nil, rpc.Error(codes.Unavailable, "NOT_KNOWN", errUnsure.Error(), map[string]string{"transfer_id": id})
}

// transferID follows from the request: so all that is ever sent for it is one
// transfer to both banks, also if this bank's database was set back meanwhile.
func (s *Service) transferID(requestID string) string {
	return event.ID("bank.transfer", s.cfg.Name+"\x00"+requestID)
}

// recall returns a transfer that was sent before, if it was for the same
// request.
func recall(t *pb.Transfer, req *pb.TransferRequest) (*pb.Transfer, error) {
	if t.GetFromAccountId() != req.GetFromAccountId() || t.GetToBank() != req.GetToBank() || t.GetToAccountId() != req.GetToAccountId() ||
		t.GetAmount().GetAmount() != req.GetAmount().GetAmount() || t.GetAmount().GetCurrency() != req.GetAmount().GetCurrency() {
		return nil, database.ErrReused
	}
	return t, nil
}

// mayTransfer refuses, before anything is sent, what could not be carried out
// now. The debit's own condition decides.
func (s *Service) mayTransfer(ctx context.Context, req *pb.TransferRequest) error {
	if to := req.GetToBank(); !slices.Contains(s.cfg.Peers, to) {
		return refuse(codes.FailedPrecondition, &why{
			ReasonUnknownBank, fmt.Sprintf("bank %s sends no money to a bank %q", s.cfg.Name, to), map[string]string{"bank": to},
		})
	}
	a, err := findAccount(ctx, s.db.SQL(), req.GetFromAccountId())
	if err != nil {
		return err
	}
	if w := againstDebit(a, req.GetFromAccountId(), req.GetAmount()); w != nil {
		return refuse(codes.FailedPrecondition, w)
	}
	return nil
}

// send debits and sends the message, or does neither.
func (s *Service) send(ctx context.Context, id string, req *pb.TransferRequest) error {
	payload, err := event.Encode(&pb.TransferSent{
		TransferId: id, FromBank: s.cfg.Name, FromAccountId: req.GetFromAccountId(), ToAccountId: req.GetToAccountId(), Amount: req.GetAmount(),
	})
	if err != nil {
		return err
	}
	// Another one each time: the log of half messages may hold the last one's
	// as rolled back.
	messageID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("bank: message id: %w", err)
	}
	msg := message.NewMessage(messageID.String(), payload)
	msg.Metadata.Set(messaging.MetadataKey, id)
	return s.cfg.Sender.Send(ctx, event.TopicTransfer(req.GetToBank()), msg, func(ctx context.Context, tx *sql.Tx) error {
		return s.debit(ctx, tx, id, req)
	})
}

// debit is what happens here, in the transaction that decides about the
// message. The account comes last, for others wait for it.
func (s *Service) debit(ctx context.Context, tx *sql.Tx, id string, req *pb.TransferRequest) error {
	from, amount := req.GetFromAccountId(), req.GetAmount()
	n, err := affected(tx.ExecContext(ctx, insertOnce(s.db.Dialect(), "INSERT INTO transfer"+
		" (transfer_id, request_id, from_account_id, to_bank, to_account_id, amount, currency, status, created_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, "+s.db.Dialect().Now()+")", "transfer_id"),
		id, req.GetRequestId(), from, req.GetToBank(), req.GetToAccountId(), amount.GetAmount(), amount.GetCurrency(), pb.TransferStatus_TRANSFER_STATUS_SENT))
	if err != nil {
		return err
	}
	if n == 0 {
		return errSent
	}
	n, err = affected(tx.ExecContext(ctx, "UPDATE account SET balance = balance - ? WHERE account_id = ? AND currency = ? AND closed = 0 AND balance >= ?",
		amount.GetAmount(), from, amount.GetCurrency(), amount.GetAmount()))
	if err != nil || n == 1 {
		return err
	}
	a, err := findAccount(ctx, tx, from)
	if err != nil {
		return err
	}
	if w := againstDebit(a, from, amount); w != nil {
		return refuse(codes.FailedPrecondition, w)
	}
	return changed(from)
}
