package account

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/accounttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDebit(t *testing.T) {
	accounttest.Run(t, func(_ *testing.T, db accounttest.Database) accounttest.Example {
		return accounttest.Example{
			Participant: New(db.Store),
			// Work may also run its statements at once.
			Deposit: func(ctx context.Context, tx barrier.Tx, id string) error {
				_, err := tx.ExecContext(ctx, "UPDATE account SET available = available + 1 WHERE account_id = ?", id)
				return err
			},
		}
	})
}
