// Package account debits accounts in three phases with bun.
package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/uptrace/bun"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Account is a row. Its sums are in minor units of its currency.
type Account struct {
	bun.BaseModel `bun:"table:account"`

	AccountID string `bun:",pk"`
	Currency  string
	Available int64 // to be spent
	Frozen    int64 // set aside by a Try
	Spent     int64 // gone by a Confirm
}

// Service is the participant. It is safe for concurrent use.
type Service struct {
	store barrier.Store
	db    *bun.DB
}

// New returns a participant that keeps its accounts beside store's rows. Of db
// it takes the dialect and the hooks; branches run on store's connections.
func New(store barrier.Store, db *bun.DB) *Service { return &Service{store: store, db: db} }

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	return barrier.Try(ctx, s.store, req, func(ctx context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		db := s.on(tx)
		moved, err := move(ctx, db, req, "available", "frozen")
		if err == nil && !moved {
			err = whyNot(ctx, db, req)
		}
		return &pb.TryDebitResponse{}, err
	})
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	return &pb.ConfirmDebitResponse{}, barrier.Confirm(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		return settle(ctx, s.on(tx), req, "spent")
	})
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	return &pb.CancelDebitResponse{}, barrier.Cancel(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		return settle(ctx, s.on(tx), req, "available")
	})
}

// settle takes the amount out of frozen. It must be there.
func settle(ctx context.Context, db bun.IDB, req *pb.DebitRequest, to string) error {
	moved, err := move(ctx, db, req, "frozen", to)
	if err == nil && !moved {
		err = fmt.Errorf("account %s has less than %d frozen", req.GetAccountId(), req.GetAmount().GetAmount())
	}
	return err
}

// move moves the amount between two columns of an account and reports whether
// it was there.
func move(ctx context.Context, db bun.IDB, req *pb.DebitRequest, from, to string) (bool, error) {
	amount := req.GetAmount().GetAmount()
	res, err := db.NewUpdate().Model((*Account)(nil)).
		Set("? = ? - ?", bun.Ident(from), bun.Ident(from), amount).
		Set("? = ? + ?", bun.Ident(to), bun.Ident(to), amount).
		Where("account_id = ?", req.GetAccountId()).
		Where("currency = ?", req.GetAmount().GetCurrency()).
		Where("? >= ?", bun.Ident(from), amount).
		Exec(ctx)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// whyNot says why a debit is not possible.
func whyNot(ctx context.Context, db bun.IDB, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	var a Account
	err := db.NewSelect().Model(&a).Where("account_id = ?", id).Where("currency = ?", amount.GetCurrency()).Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return tcc.Reject("UNKNOWN_ACCOUNT", fmt.Sprintf("there is no account %s in %s", id, amount.GetCurrency()), nil)
	case err != nil:
		return err
	case a.Available >= amount.GetAmount(): // money came in since
		return tcc.Retry(fmt.Errorf("account %s changed while it was debited", id))
	}
	return tcc.Reject("INSUFFICIENT_BALANCE", fmt.Sprintf("account %s has too little", id),
		map[string]string{"available": strconv.FormatInt(a.Available, 10)})
}
