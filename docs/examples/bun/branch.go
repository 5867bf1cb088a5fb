package account

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/tcckit/tcckit/barrier"
)

// branch is a bun.IDB whose queries run in a branch, for work and for what it
// calls. It ends with the branch's work. Work must not use the *bun.DB
// itself, whose queries go to a pool, where nothing ties them to the branch.
type branch struct {
	barrier.Tx
	db *bun.DB
}

var _ bun.IDB = branch{}

// on returns bun's view of a branch.
func (s *Service) on(tx barrier.Tx) bun.IDB { return branch{tx, s.db} }

var errNested = errors.New("a branch is one transaction already, which the barrier begins and ends")

// BeginTx implements bun.IDB. It always fails.
func (b branch) BeginTx(context.Context, *sql.TxOptions) (bun.Tx, error) {
	return bun.Tx{}, errNested
}

// RunInTx implements bun.IDB. It always fails.
func (b branch) RunInTx(context.Context, *sql.TxOptions, func(context.Context, bun.Tx) error) error {
	return errNested
}

// The rest implements bun.IDB as bun's own Tx does. A branch refuses the
// statements of those that change the schema.

func (b branch) Dialect() schema.Dialect { return b.db.Dialect() }

func (b branch) NewValues(model any) *bun.ValuesQuery { return b.db.NewValues(model).Conn(b.Tx) }

func (b branch) NewSelect() *bun.SelectQuery { return b.db.NewSelect().Conn(b.Tx) }

func (b branch) NewInsert() *bun.InsertQuery { return b.db.NewInsert().Conn(b.Tx) }

func (b branch) NewUpdate() *bun.UpdateQuery { return b.db.NewUpdate().Conn(b.Tx) }

func (b branch) NewDelete() *bun.DeleteQuery { return b.db.NewDelete().Conn(b.Tx) }

func (b branch) NewMerge() *bun.MergeQuery { return b.db.NewMerge().Conn(b.Tx) }

func (b branch) NewRaw(query string, args ...any) *bun.RawQuery {
	return b.db.NewRaw(query, args...).Conn(b.Tx)
}

func (b branch) NewCreateTable() *bun.CreateTableQuery { return b.db.NewCreateTable().Conn(b.Tx) }

func (b branch) NewDropTable() *bun.DropTableQuery { return b.db.NewDropTable().Conn(b.Tx) }

func (b branch) NewCreateIndex() *bun.CreateIndexQuery { return b.db.NewCreateIndex().Conn(b.Tx) }

func (b branch) NewDropIndex() *bun.DropIndexQuery { return b.db.NewDropIndex().Conn(b.Tx) }

func (b branch) NewTruncateTable() *bun.TruncateTableQuery {
	return b.db.NewTruncateTable().Conn(b.Tx)
}

func (b branch) NewAddColumn() *bun.AddColumnQuery { return b.db.NewAddColumn().Conn(b.Tx) }

func (b branch) NewDropColumn() *bun.DropColumnQuery { return b.db.NewDropColumn().Conn(b.Tx) }
