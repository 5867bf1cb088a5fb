package account

import (
	"context"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/ent/ent"
	"github.com/tcckit/tcckit/docs/examples/ent/ent/account"
	"github.com/tcckit/tcckit/docs/examples/internal/accounttest"
)

func TestDebit(t *testing.T) {
	accounttest.Run(t, func(t *testing.T, db accounttest.Database) accounttest.Example {
		s := New(db.Store, dialectOf(db))
		on := func(ctx context.Context, tx barrier.Tx) *ent.Client {
			client, err := s.on(ctx, tx)
			require.NoError(t, err)
			return client
		}
		return accounttest.Example{
			Participant: s,
			Deposit: func(ctx context.Context, tx barrier.Tx, id string) error {
				return on(ctx, tx).Account.Update().Where(account.ID(id)).AddAvailable(1).Exec(ctx)
			},
			Open: func(ctx context.Context, tx barrier.Tx, ids []string) error {
				client := on(ctx, tx)
				create := func(c *ent.AccountCreate, i int) { c.SetID(ids[i]).SetCurrency("USD") }
				if err := client.Account.MapCreateBulk(ids, create).Exec(ctx); err != nil {
					return err
				}
				for _, id := range ids { // each in a transaction of its own, but for the branch
					if err := client.Account.UpdateOneID(id).SetCurrency("EUR").Exec(ctx); err != nil {
						return err
					}
				}
				return nil
			},
			Begins: map[string]func(context.Context, barrier.Tx) error{
				"Tx": func(ctx context.Context, tx barrier.Tx) error {
					_, err := on(ctx, tx).Tx(ctx)
					return err
				},
				"BeginTx": func(ctx context.Context, tx barrier.Tx) error {
					_, err := on(ctx, tx).BeginTx(ctx, nil)
					return err
				},
			},
		}
	})
}

func dialectOf(db accounttest.Database) string {
	if db.Dialect == accounttest.SQLite {
		return dialect.SQLite
	}
	return dialect.MySQL
}
