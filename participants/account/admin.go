package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
)

// OpenAccount opens an account with nothing in it.
func (s *Service) OpenAccount(ctx context.Context, req *pb.OpenAccountRequest) (*pb.OpenAccountResponse, error) {
	id, currency := req.GetAccountId(), req.GetCurrency()
	body := database.Fingerprint("OpenAccount", id, currency)
	resp, err := database.Once(ctx, s.db, req.GetRequestId(), body, func(ctx context.Context, tx *sql.Tx) (*pb.OpenAccountResponse, error) {
		err := insert(ctx, tx, s.db.Dialect(), id, currency)
		if database.IsDuplicate(err) {
			// It may be this very request, handled elsewhere in between:
			// that is for Once to see.
			return nil, &takenError{id: id, cause: err}
		}
		if err != nil {
			return nil, err
		}
		return &pb.OpenAccountResponse{Account: &pb.Account{AccountId: id, Currency: currency}}, nil
	})
	return resp, edge(err, req.GetRequestId())
}

// Deposit adds to what is available.
func (s *Service) Deposit(ctx context.Context, req *pb.DepositRequest) (*pb.DepositResponse, error) {
	id, amount, currency := req.GetAccountId(), req.GetAmount().GetAmount(), req.GetAmount().GetCurrency()
	body := database.Fingerprint("Deposit", id, strconv.FormatInt(amount, 10), currency)
	resp, err := database.Once(ctx, s.db, req.GetRequestId(), body, func(ctx context.Context, tx *sql.Tx) (*pb.DepositResponse, error) {
		a, err := findForUpdate(ctx, tx, s.db.Dialect(), id)
		if err != nil {
			return nil, err
		}
		if a.GetCurrency() != currency {
			return nil, &currencyError{id: id, kept: a.GetCurrency(), got: currency}
		}
		// The three sums together must fit, for money moves between them.
		if amount > math.MaxInt64-a.GetAvailable()-a.GetFrozen()-a.GetSpent() {
			return nil, &overflowError{id: id, amount: amount}
		}
		after := a.GetAvailable() + amount
		_, err = tx.ExecContext(ctx, "UPDATE account SET available = ? WHERE account_id = ?", after, id)
		return &pb.DepositResponse{BalanceAfter: after}, err
	})
	return resp, edge(err, req.GetRequestId())
}

type takenError struct {
	id    string
	cause error
}

func (e *takenError) Error() string { return fmt.Sprintf("there is an account %s already", e.id) }
func (e *takenError) Unwrap() error { return e.cause }

type unknownError struct{ id string }

func (e *unknownError) Error() string { return fmt.Sprintf("there is no account %s", e.id) }

type currencyError struct{ id, kept, got string }

func (e *currencyError) Error() string {
	return fmt.Sprintf("account %s is kept in %s, not in %s", e.id, e.kept, e.got)
}

type overflowError struct {
	id     string
	amount int64
}

func (e *overflowError) Error() string {
	return fmt.Sprintf("account %s cannot hold %d more: what was ever deposited must stay below 2^63", e.id, e.amount)
}

// edge turns the errors of this package into what callers outside any
// transaction see.
func edge(err error, requestID string) error {
	var (
		taken    *takenError
		unknown  *unknownError
		currency *currencyError
		overflow *overflowError
	)
	switch {
	case errors.As(err, &taken):
		return rpc.Error(codes.AlreadyExists, "ACCOUNT_EXISTS", taken.Error(), map[string]string{"account_id": taken.id})
	case errors.As(err, &unknown):
		return rpc.Error(codes.NotFound, ReasonUnknownAccount, unknown.Error(), map[string]string{"account_id": unknown.id})
	case errors.As(err, &currency):
		return rpc.Error(codes.FailedPrecondition, ReasonCurrencyMismatch, currency.Error(),
			map[string]string{"account_id": currency.id, "account_currency": currency.kept, "currency": currency.got})
	case errors.As(err, &overflow):
		return rpc.Error(codes.OutOfRange, "BALANCE_OVERFLOW", overflow.Error(), map[string]string{"account_id": overflow.id})
	case errors.Is(err, database.ErrReused):
		return rpc.Error(codes.AlreadyExists, "REQUEST_ID_REUSED", err.Error(), map[string]string{"request_id": requestID})
	}
	return database.Transient(err)
}
