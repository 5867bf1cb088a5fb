package bank

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// OpenAccount opens an account with a balance.
func (s *Service) OpenAccount(ctx context.Context, req *pb.OpenAccountRequest) (*pb.OpenAccountResponse, error) {
	id, amount, currency := req.GetAccountId(), req.GetBalance().GetAmount(), req.GetBalance().GetCurrency()
	body := database.Fingerprint("OpenAccount", id, strconv.FormatInt(amount, 10), currency)
	resp, err := database.Once(ctx, s.db, req.GetRequestId(), body, func(ctx context.Context, tx *sql.Tx) (*pb.OpenAccountResponse, error) {
		_, err := tx.ExecContext(ctx, "INSERT INTO account (account_id, currency, balance, closed, created_at) VALUES (?, ?, ?, 0, "+s.db.Dialect().Now()+")",
			id, currency, amount)
		if database.IsDuplicate(err) {
			// It may be this very request, handled elsewhere in between:
			// that is for Once to see.
			return nil, &refusal{codes.AlreadyExists, &why{
				"ACCOUNT_EXISTS", fmt.Sprintf("there is an account %s already", id), map[string]string{"account_id": id},
			}, err}
		}
		if err != nil {
			return nil, err
		}
		return &pb.OpenAccountResponse{Account: &pb.Account{AccountId: id, Balance: &commonpb.Money{Amount: amount, Currency: currency}}}, nil
	})
	return resp, edge(err, req.GetRequestId())
}

// CloseAccount closes an account that is empty. Money of it that is still on its
// way comes back to it if the other bank refuses it.
func (s *Service) CloseAccount(ctx context.Context, req *pb.CloseAccountRequest) (*pb.CloseAccountResponse, error) {
	id := req.GetAccountId()
	body := database.Fingerprint("CloseAccount", id)
	resp, err := database.Once(ctx, s.db, req.GetRequestId(), body, func(ctx context.Context, tx *sql.Tx) (*pb.CloseAccountResponse, error) {
		n, err := affected(tx.ExecContext(ctx, "UPDATE account SET closed = 1 WHERE account_id = ? AND closed = 0 AND balance = 0", id))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, whyNotClosed(ctx, tx, id)
		}
		return &pb.CloseAccountResponse{}, nil
	})
	return resp, edge(err, req.GetRequestId())
}

// whyNotClosed says why an account cannot be closed.
func whyNotClosed(ctx context.Context, tx *sql.Tx, id string) error {
	a, err := findAccount(ctx, tx, id)
	switch {
	case err != nil:
		return err
	case a == nil:
		return refuse(codes.NotFound, unknownAccount(id))
	case a.GetClosed():
		return refuse(codes.FailedPrecondition, closedAccount(id))
	case a.GetBalance().GetAmount() != 0:
		return refuse(codes.FailedPrecondition, &why{
			"ACCOUNT_NOT_EMPTY", fmt.Sprintf("account %s has %d %s: move them elsewhere first", id, a.GetBalance().GetAmount(), a.GetBalance().GetCurrency()),
			map[string]string{"account_id": id, "balance": strconv.FormatInt(a.GetBalance().GetAmount(), 10)},
		})
	}
	return changed(id)
}
