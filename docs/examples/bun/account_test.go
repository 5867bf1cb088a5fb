package account

import (
	"context"
	"testing"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/accounttest"
)

func TestDebit(t *testing.T) {
	accounttest.Run(t, func(_ *testing.T, db accounttest.Database) accounttest.Example {
		s := New(db.Store, open(db))
		return accounttest.Example{
			Participant: s,
			Deposit: func(ctx context.Context, tx barrier.Tx, id string) error {
				_, err := s.on(tx).NewUpdate().Model((*Account)(nil)).Set("available = available + 1").Where("account_id = ?", id).Exec(ctx)
				return err
			},
			Open: func(ctx context.Context, tx barrier.Tx, ids []string) error {
				accounts := make([]Account, len(ids))
				for i, id := range ids {
					accounts[i] = Account{AccountID: id, Currency: "EUR"}
				}
				_, err := s.on(tx).NewInsert().Model(&accounts).Exec(ctx)
				return err
			},
			Begins: map[string]func(context.Context, barrier.Tx) error{
				"BeginTx": func(ctx context.Context, tx barrier.Tx) error {
					_, err := s.on(tx).BeginTx(ctx, nil)
					return err
				},
				"RunInTx": func(ctx context.Context, tx barrier.Tx) error {
					return s.on(tx).RunInTx(ctx, nil, func(context.Context, bun.Tx) error { return nil })
				},
			},
		}
	})
}

func open(db accounttest.Database) *bun.DB {
	if db.Dialect == accounttest.SQLite {
		return bun.NewDB(db.Pool, sqlitedialect.New())
	}
	return bun.NewDB(db.Pool, mysqldialect.New())
}
