package account

import (
	"context"
	"errors"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/docs/examples/ent/ent"
)

// on returns a client whose queries run in the branch. It ends with the
// branch's work. Hooks and interceptors of the schema apply; others would have
// to be added here, with Use.
//
// It is the client of an ent transaction: one that ent begins unasked, as for
// UpdateOne, then joins it, and one that is asked for is refused.
func (s *Service) on(ctx context.Context, tx barrier.Tx) (*ent.Client, error) {
	t, err := ent.NewClient(ent.Driver(branch{entsql.NewDriver(s.dialect, entsql.Conn{ExecQuerier: tx})})).Tx(ctx)
	if err != nil {
		return nil, err
	}
	return t.Client(), nil
}

// branch is ent's driver and transaction in one.
type branch struct{ *entsql.Driver }

var errNested = errors.New("a branch is one transaction, which the barrier begins and ends")

// Tx implements dialect.Driver. It begins nothing.
func (b branch) Tx(context.Context) (dialect.Tx, error) { return b, nil }

// Commit implements dialect.Tx. It always fails.
func (b branch) Commit() error { return errNested }

// Rollback implements dialect.Tx. It always fails.
func (b branch) Rollback() error { return errNested }

// Close implements dialect.Driver. It closes nothing.
func (b branch) Close() error { return nil }
