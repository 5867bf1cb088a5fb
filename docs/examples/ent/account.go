// Package account debits accounts in three phases with ent.
package account

import (
	"context"
	"fmt"
	"strconv"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/ent/ent"
	"github.com/tcckit/tcckit/docs/examples/ent/ent/account"
	"github.com/tcckit/tcckit/tcc"
)

// Service is the participant. It is safe for concurrent use.
type Service struct {
	store   barrier.Store
	dialect string
}

// New returns a participant that keeps its accounts beside store's rows.
// dialect is ent's name of the SQL that the database speaks: dialect.MySQL or
// dialect.SQLite.
func New(store barrier.Store, dialect string) *Service {
	return &Service{store: store, dialect: dialect}
}

// TryDebit freezes the amount.
func (s *Service) TryDebit(ctx context.Context, req *pb.DebitRequest) (*pb.TryDebitResponse, error) {
	return barrier.Try(ctx, s.store, req, func(ctx context.Context, tx barrier.Tx) (*pb.TryDebitResponse, error) {
		client, err := s.on(ctx, tx)
		if err != nil {
			return nil, err
		}
		amount := req.GetAmount().GetAmount()
		n, err := update(client, req).Where(account.AvailableGTE(amount)).AddAvailable(-amount).AddFrozen(amount).Save(ctx)
		if err == nil && n == 0 {
			err = whyNot(ctx, client, req)
		}
		return &pb.TryDebitResponse{}, err
	})
}

// ConfirmDebit spends what TryDebit froze.
func (s *Service) ConfirmDebit(ctx context.Context, req *pb.DebitRequest) (*pb.ConfirmDebitResponse, error) {
	return &pb.ConfirmDebitResponse{}, barrier.Confirm(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		return s.settle(ctx, tx, req, (*ent.AccountUpdate).AddSpent)
	})
}

// CancelDebit gives back what TryDebit froze.
func (s *Service) CancelDebit(ctx context.Context, req *pb.DebitRequest) (*pb.CancelDebitResponse, error) {
	return &pb.CancelDebitResponse{}, barrier.Cancel(ctx, s.store, func(ctx context.Context, tx barrier.Tx) error {
		return s.settle(ctx, tx, req, (*ent.AccountUpdate).AddAvailable)
	})
}

// settle moves the amount out of frozen. It must be there.
func (s *Service) settle(ctx context.Context, tx barrier.Tx, req *pb.DebitRequest, add func(*ent.AccountUpdate, int64) *ent.AccountUpdate) error {
	client, err := s.on(ctx, tx)
	if err != nil {
		return err
	}
	amount := req.GetAmount().GetAmount()
	n, err := add(update(client, req), amount).Where(account.FrozenGTE(amount)).AddFrozen(-amount).Save(ctx)
	if err == nil && n == 0 {
		err = fmt.Errorf("account %s has less than %d frozen", req.GetAccountId(), amount)
	}
	return err
}

// update changes the account of a request.
func update(client *ent.Client, req *pb.DebitRequest) *ent.AccountUpdate {
	return client.Account.Update().Where(account.ID(req.GetAccountId()), account.Currency(req.GetAmount().GetCurrency()))
}

// whyNot says why a debit is not possible.
func whyNot(ctx context.Context, client *ent.Client, req *pb.DebitRequest) error {
	id, amount := req.GetAccountId(), req.GetAmount()
	a, err := client.Account.Query().Where(account.ID(id), account.Currency(amount.GetCurrency())).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return tcc.Reject("UNKNOWN_ACCOUNT", fmt.Sprintf("there is no account %s in %s", id, amount.GetCurrency()), nil)
	case err != nil:
		return err
	case a.Available >= amount.GetAmount(): // money came in since
		return tcc.Retry(fmt.Errorf("account %s changed while it was debited", id))
	}
	return tcc.Reject("INSUFFICIENT_BALANCE", fmt.Sprintf("account %s has too little", id),
		map[string]string{"available": strconv.FormatInt(a.Available, 10)})
}
