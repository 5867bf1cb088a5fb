package bank

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// querier is what a transaction and a pool of connections have in common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// findAccount reads an account, nil if there is none.
func findAccount(ctx context.Context, q querier, id string) (*pb.Account, error) {
	a := &pb.Account{Balance: &commonpb.Money{}}
	err := q.QueryRowContext(ctx, "SELECT account_id, currency, balance, closed FROM account WHERE account_id = ?", id).
		Scan(&a.AccountId, &a.Balance.Currency, &a.Balance.Amount, &a.Closed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return a, err
}

// findTransfer reads a transfer, nil if there is none.
func findTransfer(ctx context.Context, q querier, id string) (*pb.Transfer, error) {
	t := &pb.Transfer{Amount: &commonpb.Money{}}
	var reason sql.NullString
	var created int64
	err := q.QueryRowContext(ctx, "SELECT transfer_id, request_id, from_account_id, to_bank, to_account_id, amount, currency, status, reason, created_at"+
		" FROM transfer WHERE transfer_id = ?", id).
		Scan(&t.TransferId, &t.RequestId, &t.FromAccountId, &t.ToBank, &t.ToAccountId, &t.Amount.Amount, &t.Amount.Currency, &t.Status, &reason, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	t.Reason, t.CreateTime = reason.String, timestamppb.New(time.UnixMilli(created))
	return t, err
}

// affected returns how many rows a statement affected.
func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insertOnce completes an INSERT so that it changes nothing, and affects no
// row, if there is a row of its primary key. On MySQL that takes the row's
// exclusive lock, whereas a duplicate key takes a shared one: two that waited
// for a row that is then rolled back would both get it, and deadlock.
func insertOnce(d database.Dialect, insert, key string) string {
	if d == database.MySQL {
		return insert + " ON DUPLICATE KEY UPDATE " + key + " = " + key
	}
	return insert + " ON CONFLICT (" + key + ") DO NOTHING"
}
