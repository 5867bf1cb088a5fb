// Package account debits accounts in three phases with no library but the
// barrier.
package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Service is the participant. It is safe for concurrent use.
type Service struct{ store barrier.Store }

// New returns a participant that keeps its accounts beside store's rows.
func New(store barrier.Store) *Service { return &Service{store: store} }

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	return barrier.Try(ctx, s.store, req, func(_ context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		stmt := move("available", "frozen", req)
		stmt.Otherwise = func(ctx context.Context, tx barrier.Tx) error { return whyNot(ctx, tx, req) }
		tx.Queue(stmt)
		return &pb.TryDebitResponse{}, nil
	})
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	return &pb.ConfirmDebitResponse{}, barrier.Confirm(ctx, s.store, func(_ context.Context, tx barrier.Tx) error {
		tx.Queue(move("frozen", "spent", req))
		return nil
	})
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	return &pb.CancelDebitResponse{}, barrier.Cancel(ctx, s.store, func(_ context.Context, tx barrier.Tx) error {
		tx.Queue(move("frozen", "available", req))
		return nil
	})
}

// move moves the amount between two columns of an account. It must be there.
func move(from, to string, req *pb.DebitRequest) barrier.Stmt {
	id, amount := req.GetAccountId(), req.GetAmount()
	return barrier.Stmt{
		Query: fmt.Sprintf("UPDATE account SET %[1]s = %[1]s - ?, %[2]s = %[2]s + ? WHERE account_id = ? AND currency = ? AND %[1]s >= ?", from, to),
		Args:  []any{amount.GetAmount(), amount.GetAmount(), id, amount.GetCurrency(), amount.GetAmount()},
		Key:   id,
		Rows:  1,
	}
}

// whyNot says why a debit is not possible.
func whyNot(ctx context.Context, tx barrier.Tx, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	var available int64
	err := tx.QueryRowContext(ctx, "SELECT available FROM account WHERE account_id = ? AND currency = ?", id, amount.GetCurrency()).Scan(&available)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return tcc.Reject("UNKNOWN_ACCOUNT", fmt.Sprintf("there is no account %s in %s", id, amount.GetCurrency()), nil)
	case err != nil:
		return err
	case available >= amount.GetAmount(): // money came in since
		return tcc.Retry(fmt.Errorf("account %s changed while it was debited", id))
	}
	return tcc.Reject("INSUFFICIENT_BALANCE", fmt.Sprintf("account %s has too little", id),
		map[string]string{"available": strconv.FormatInt(available, 10)})
}
