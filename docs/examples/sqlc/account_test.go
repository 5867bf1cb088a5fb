package account

import (
	"context"
	"testing"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/accounttest"
	"github.com/tcckit/tcckit/docs/examples/sqlc/accountdb"
)

func TestDebit(t *testing.T) {
	accounttest.Run(t, func(_ *testing.T, db accounttest.Database) accounttest.Example {
		return accounttest.Example{
			Participant: New(db.Store),
			Deposit: func(ctx context.Context, tx barrier.Tx, id string) error {
				return accountdb.New(tx).Deposit(ctx, accountdb.DepositParams{AccountID: id, Amount: 1})
			},
			// sqlc begins no transactions: Queries.WithTx takes one of
			// database/sql, which a branch is not.
		}
	})
}
