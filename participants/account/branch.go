package account

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// The reasons for which TryDebit is rejected.
const (
	ReasonUnknownAccount      = "UNKNOWN_ACCOUNT"
	ReasonInsufficientBalance = "INSUFFICIENT_BALANCE"
	ReasonCurrencyMismatch    = "CURRENCY_MISMATCH"
)

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	id, amount, currency := req.GetAccountId(), req.GetAmount().GetAmount(), req.GetAmount().GetCurrency()
	return barrier.Try(ctx, s.db.Barrier(), req, func(_ context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		tx.Queue(barrier.Stmt{
			Query:     "UPDATE account SET available = available - ?, frozen = frozen + ? WHERE account_id = ? AND currency = ? AND available >= ?",
			Args:      []any{amount, amount, id, currency, amount},
			Key:       id,
			Rows:      1,
			Otherwise: func(ctx context.Context, tx barrier.Tx) error { return whyNot(ctx, tx, req) },
		})
		return &pb.TryDebitResponse{}, nil
	})
}

// whyNot says why a debit is not possible.
func whyNot(ctx context.Context, tx barrier.Tx, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	a, err := find(ctx, tx, id)
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown):
		return tcc.Reject(ReasonUnknownAccount, fmt.Sprintf("there is no account %s", id), map[string]string{"account_id": id})
	case err != nil:
		return err
	case a.GetCurrency() != amount.GetCurrency():
		return tcc.Reject(ReasonCurrencyMismatch,
			fmt.Sprintf("account %s is kept in %s, not in %s", id, a.GetCurrency(), amount.GetCurrency()),
			map[string]string{"account_id": id, "account_currency": a.GetCurrency(), "currency": amount.GetCurrency()})
	case a.GetAvailable() < amount.GetAmount():
		return tcc.Reject(ReasonInsufficientBalance,
			fmt.Sprintf("account %s has %d %s available, %d are needed", id, a.GetAvailable(), a.GetCurrency(), amount.GetAmount()),
			map[string]string{
				"account_id": id,
				"available":  strconv.FormatInt(a.GetAvailable(), 10),
				"requested":  strconv.FormatInt(amount.GetAmount(), 10),
			})
	}
	// It is there now: somebody gave money back between the two statements.
	return tcc.Retry(fmt.Errorf("account %s changed while it was debited", id))
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	err := s.finish(ctx, req, barrier.Confirm, "UPDATE account SET frozen = frozen - ?, spent = spent + ? WHERE account_id = ? AND frozen >= ?")
	if err != nil {
		return nil, err
	}
	return &pb.ConfirmDebitResponse{}, nil
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	err := s.finish(ctx, req, barrier.Cancel, "UPDATE account SET frozen = frozen - ?, available = available + ? WHERE account_id = ? AND frozen >= ?")
	if err != nil {
		return nil, err
	}
	return &pb.CancelDebitResponse{}, nil
}

// phase is barrier.Confirm or barrier.Cancel.
type phase = func(context.Context, barrier.Store, func(context.Context, barrier.Tx) error) error

func (s *Service) finish(ctx context.Context, req *pb.DebitRequest, run phase, query string) error {
	id, amount := req.GetAccountId(), req.GetAmount().GetAmount()
	// The rules of the proto are Try's; this one keeps money from being made.
	if amount <= 0 {
		return tcc.Invalidf("the amount is %d, it must be positive", amount)
	}
	return run(ctx, s.db.Barrier(), func(_ context.Context, tx barrier.Tx) error {
		tx.Queue(barrier.Stmt{Query: query, Args: []any{amount, amount, id, amount}, Key: id, Rows: 1})
		return nil
	})
}
