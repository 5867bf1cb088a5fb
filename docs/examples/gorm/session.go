package account

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/tcckit/tcckit/barrier"
)

// on returns a gorm session whose statements run in the branch. It ends with
// the branch's work.
func (s *Service) on(ctx context.Context, tx barrier.Tx) *gorm.DB {
	db := s.db.Session(&gorm.Session{
		NewDB: true,
		// gorm puts a transaction around each change, and CreateInBatches one
		// around them all. The branch is one already.
		SkipDefaultTransaction: true,
		// With a context the session gets a Statement of its own.
		Context: ctx,
	})
	db.Statement.ConnPool = branch{tx}
	db.ConnPool = branch{tx} // or a session made from this one could find gorm's pool
	return db
}

// branch is a branch as gorm sees it.
type branch struct{ barrier.Tx }

var (
	_ gorm.ConnPoolBeginner = branch{}

	errNested = errors.New("a branch is one transaction already, which the barrier begins and ends")
)

// BeginTx implements gorm.ConnPoolBeginner. It always fails.
func (branch) BeginTx(context.Context, *sql.TxOptions) (gorm.ConnPool, error) {
	return nil, errNested
}
