package account

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/internal/accounttest"
)

func TestDebit(t *testing.T) {
	accounttest.Run(t, func(t *testing.T, db accounttest.Database) accounttest.Example {
		s := New(db.Store, open(t, db))
		return accounttest.Example{
			Participant: s,
			Deposit: func(ctx context.Context, tx barrier.Tx, id string) error {
				return deposit(s.on(ctx, tx), id)
			},
			Open: func(ctx context.Context, tx barrier.Tx, ids []string) error {
				return s.on(ctx, tx).CreateInBatches(empty(ids), 2).Error
			},
			Begins: map[string]func(context.Context, barrier.Tx) error{
				"Begin": func(ctx context.Context, tx barrier.Tx) error { return s.on(ctx, tx).Begin().Error },
				"Transaction": func(ctx context.Context, tx barrier.Tx) error {
					return s.on(ctx, tx).Transaction(func(db *gorm.DB) error { return deposit(db, "any") })
				},
			},
		}
	})
}

func deposit(db *gorm.DB, id string) error {
	return db.Model(&Account{}).Where("account_id = ?", id).Update("available", gorm.Expr("available + 1")).Error
}

// empty are accounts to be opened.
func empty(ids []string) []Account {
	accounts := make([]Account, len(ids))
	for i, id := range ids {
		accounts[i] = Account{AccountID: id, Currency: "EUR"}
	}
	return accounts
}

// open puts gorm on a pool. The statements here read the same on SQLite, and
// so its tests do with MySQL's dialect: gorm.io/driver/sqlite brings a second
// SQLite, in C, and github.com/glebarez/sqlite one under the name that the
// barrier's driver has.
func open(t *testing.T, db accounttest.Database) *gorm.DB {
	t.Helper()
	g, err := gorm.Open(mysql.New(mysql.Config{
		Conn:                      db.Pool,
		SkipInitializeWithVersion: db.Dialect == accounttest.SQLite,
	}), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	return g
}
