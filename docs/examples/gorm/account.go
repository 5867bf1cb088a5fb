// Package account debits accounts in three phases with gorm.
package account

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"gorm.io/gorm"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Account is a row. Its sums are in minor units of its currency.
type Account struct {
	AccountID string `gorm:"primaryKey"`
	Currency  string
	Available int64 // to be spent
	Frozen    int64 // set aside by a Try
	Spent     int64 // gone by a Confirm
}

// TableName implements gorm's Tabler.
func (Account) TableName() string { return "account" }

// Service is the participant. It is safe for concurrent use.
type Service struct {
	store barrier.Store
	db    *gorm.DB
}

// New returns a participant that keeps its accounts beside store's rows. Of db
// it takes the dialect, the hooks and the logger; branches run on store's
// connections.
func New(store barrier.Store, db *gorm.DB) *Service { return &Service{store: store, db: db} }

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	return barrier.Try(ctx, s.store, req, func(ctx context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		db := s.on(ctx, tx)
		moved, err := move(db, req, "available", "frozen")
		if err == nil && !moved {
			err = whyNot(db, req)
		}
		return &pb.TryDebitResponse{}, err
	})
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	return &pb.ConfirmDebitResponse{}, barrier.Confirm(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		return settle(s.on(ctx, tx), req, "spent")
	})
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	return &pb.CancelDebitResponse{}, barrier.Cancel(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		return settle(s.on(ctx, tx), req, "available")
	})
}

// settle takes the amount out of frozen. It must be there.
func settle(db *gorm.DB, req *pb.DebitRequest, to string) error {
	moved, err := move(db, req, "frozen", to)
	if err == nil && !moved {
		err = fmt.Errorf("account %s has less than %d frozen", req.GetAccountId(), req.GetAmount().GetAmount())
	}
	return err
}

// move moves the amount between two columns of an account and reports whether
// it was there.
func move(db *gorm.DB, req *pb.DebitRequest, from, to string) (bool, error) {
	amount := req.GetAmount().GetAmount()
	res := db.Model(&Account{}).
		Where("account_id = ? AND currency = ?", req.GetAccountId(), req.GetAmount().GetCurrency()).
		Where(from+" >= ?", amount).
		Updates(map[string]any{from: gorm.Expr(from+" - ?", amount), to: gorm.Expr(to+" + ?", amount)})
	return res.RowsAffected == 1, res.Error
}

// whyNot says why a debit is not possible.
func whyNot(db *gorm.DB, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	var a Account
	err := db.Take(&a, "account_id = ? AND currency = ?", id, amount.GetCurrency()).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return tcc.Reject("UNKNOWN_ACCOUNT", fmt.Sprintf("there is no account %s in %s", id, amount.GetCurrency()), nil)
	case err != nil:
		return err
	case a.Available >= amount.GetAmount(): // money came in since
		return tcc.Retry(fmt.Errorf("account %s changed while it was debited", id))
	}
	return tcc.Reject("INSUFFICIENT_BALANCE", fmt.Sprintf("account %s has too little", id),
		map[string]string{"available": strconv.FormatInt(a.Available, 10)})
}
