// Package account debits accounts in three phases with sqlx: named arguments
// for what is changed, structs for what is read.
package account

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jmoiron/sqlx"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Service is the participant. It is safe for concurrent use.
type Service struct{ store barrier.Store }

// New returns a participant that keeps its accounts beside store's rows.
func New(store barrier.Store) *Service { return &Service{store: store} }

const (
	freeze = `UPDATE account SET available = available - :amount, frozen = frozen + :amount
		WHERE account_id = :account_id AND currency = :currency AND available >= :amount`
	spend = `UPDATE account SET frozen = frozen - :amount, spent = spent + :amount
		WHERE account_id = :account_id AND currency = :currency AND frozen >= :amount`
	release = `UPDATE account SET frozen = frozen - :amount, available = available + :amount
		WHERE account_id = :account_id AND currency = :currency AND frozen >= :amount`
)

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	return barrier.Try(ctx, s.store, req, func(_ context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		return &pb.TryDebitResponse{}, queue(tx, freeze, req, func(ctx context.Context, tx barrier.Tx) error { return whyNot(ctx, tx, req) })
	})
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	return &pb.ConfirmDebitResponse{}, barrier.Confirm(ctx, s.store, func(_ context.Context, tx barrier.Tx) error {
		return queue(tx, spend, req, nil)
	})
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	return &pb.CancelDebitResponse{}, barrier.Cancel(ctx, s.store, func(_ context.Context, tx barrier.Tx) error {
		return queue(tx, release, req, nil)
	})
}

// debit names what the statements take.
type debit struct {
	AccountID string `db:"account_id"`
	Currency  string `db:"currency"`
	Amount    int64  `db:"amount"`
}

// queue queues a statement on the one account, which sqlx fills in.
func queue(tx barrier.Tx, query string, req *pb.DebitRequest, otherwise func(context.Context, barrier.Tx) error) error {
	query, args, err := sqlx.Named(query, debit{
		AccountID: req.GetAccountId(),
		Currency:  req.GetAmount().GetCurrency(),
		Amount:    req.GetAmount().GetAmount(),
	})
	if err != nil {
		return err
	}
	tx.Queue(barrier.Stmt{Query: query, Args: args, Key: req.GetAccountId(), Rows: 1, Otherwise: otherwise})
	return nil
}

// account is what is read of a row.
type account struct {
	Currency  string `db:"currency"`
	Available int64  `db:"available"`
}

// find reads accounts. sqlx's Get makes its row itself, of a pool or a
// transaction of its own; StructScan takes rows from anywhere, and closes
// them.
func find(ctx context.Context, tx barrier.Tx, id string) ([]account, error) {
	rows, err := tx.QueryContext(ctx, "SELECT currency, available FROM account WHERE account_id = ?", id)
	if err != nil {
		return nil, err
	}
	var found []account
	return found, sqlx.StructScan(rows, &found)
}

// whyNot says why a debit is not possible.
func whyNot(ctx context.Context, tx barrier.Tx, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	found, err := find(ctx, tx, id)
	switch {
	case err != nil:
		return err
	case len(found) == 0 || found[0].Currency != amount.GetCurrency():
		return tcc.Reject("UNKNOWN_ACCOUNT", fmt.Sprintf("there is no account %s in %s", id, amount.GetCurrency()), nil)
	case found[0].Available >= amount.GetAmount(): // money came in since
		return tcc.Retry(fmt.Errorf("account %s changed while it was debited", id))
	}
	return tcc.Reject("INSUFFICIENT_BALANCE", fmt.Sprintf("account %s has too little", id),
		map[string]string{"available": strconv.FormatInt(found[0].Available, 10)})
}
