package account

import (
	"context"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/accounttest"
)

func TestDebit(t *testing.T) {
	accounttest.Run(t, func(_ *testing.T, db accounttest.Database) accounttest.Example {
		return accounttest.Example{
			Participant: New(db.Store),
			// Work may also run its statements at once.
			Deposit: func(ctx context.Context, tx barrier.Tx, id string) error {
				query, args, err := sqlx.Named("UPDATE account SET available = available + 1 WHERE account_id = :id", map[string]any{"id": id})
				if err != nil {
					return err
				}
				_, err = tx.ExecContext(ctx, query, args...)
				return err
			},
			// sqlx begins transactions on its own DB only, which a branch is not.
		}
	})
}
