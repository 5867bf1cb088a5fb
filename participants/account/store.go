package account

import (
	"context"
	"database/sql"
	"errors"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// querier is what a transaction, a branch and a pool of connections have in
// common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

const selectAccount = "SELECT account_id, currency, available, frozen, spent FROM account WHERE account_id = ?"

// find reads an account. One that does not exist is an *unknownError.
func find(ctx context.Context, q querier, id string) (*pb.Account, error) {
	return scan(q.QueryRowContext(ctx, selectAccount, id), id)
}

// findForUpdate also locks it.
func findForUpdate(ctx context.Context, tx *sql.Tx, d database.Dialect, id string) (*pb.Account, error) {
	return scan(tx.QueryRowContext(ctx, selectAccount+d.ForUpdate(), id), id)
}

func scan(row *sql.Row, id string) (*pb.Account, error) {
	var a pb.Account
	err := row.Scan(&a.AccountId, &a.Currency, &a.Available, &a.Frozen, &a.Spent)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &unknownError{id: id}
	}
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func insert(ctx context.Context, tx *sql.Tx, d database.Dialect, id, currency string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO account (account_id, currency, available, frozen, spent, created_at) VALUES (?, ?, 0, 0, 0, "+d.Now()+")", id, currency)
	return err
}
