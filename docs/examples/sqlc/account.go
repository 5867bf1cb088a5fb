// Package account debits accounts in three phases with queries that sqlc
// checked and generated.
package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/queued"
	"github.com/tcckit/tcckit/docs/examples/sqlc/accountdb"
	"github.com/tcckit/tcckit/tcc"
)

//go:generate env CGO_ENABLED=0 go tool sqlc generate

// Service is the participant. It is safe for concurrent use.
type Service struct{ store barrier.Store }

// New returns a participant that keeps its accounts beside store's rows.
func New(store barrier.Store) *Service { return &Service{store: store} }

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	return barrier.Try(ctx, s.store, req, func(ctx context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		q := queued.On(tx, barrier.Stmt{
			Key:       req.GetAccountId(),
			Rows:      1,
			Otherwise: func(ctx context.Context, tx barrier.Tx) error { return whyNot(ctx, accountdb.New(tx), req) },
		})
		return &pb.TryDebitResponse{}, accountdb.New(q).Freeze(ctx, accountdb.FreezeParams(debit(req)))
	})
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	return &pb.ConfirmDebitResponse{}, barrier.Confirm(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		q := queued.On(tx, barrier.Stmt{Key: req.GetAccountId(), Rows: 1})
		return accountdb.New(q).Spend(ctx, debit(req))
	})
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	return &pb.CancelDebitResponse{}, barrier.Cancel(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		q := queued.On(tx, barrier.Stmt{Key: req.GetAccountId(), Rows: 1})
		return accountdb.New(q).Release(ctx, accountdb.ReleaseParams(debit(req)))
	})
}

// debit is what all three queries need.
func debit(req *pb.DebitRequest) accountdb.SpendParams {
	return accountdb.SpendParams{
		Amount:    req.GetAmount().GetAmount(),
		AccountID: req.GetAccountId(),
		Currency:  req.GetAmount().GetCurrency(),
	}
}

// whyNot says why a debit is not possible.
func whyNot(ctx context.Context, q *accountdb.Queries, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	available, err := q.Available(ctx, accountdb.AvailableParams{AccountID: id, Currency: amount.GetCurrency()})
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
