package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync/atomic"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/tcc"
)

// form is one way to write a participant of which every branch moves one unit
// of an account.
type form interface {
	deliver(ctx context.Context, gid string, phase tcc.Phase, account string) error
}

// The business of the phases: the statement, which takes the account's id.
func business(phase tcc.Phase) string {
	switch phase {
	case tcc.Try:
		return "UPDATE account SET available = available - 1, frozen = frozen + 1 WHERE id = ? AND available >= 1"
	case tcc.Confirm:
		return "UPDATE account SET frozen = frozen - 1, spent = spent + 1 WHERE id = ? AND frozen >= 1"
	default:
		return "UPDATE account SET frozen = frozen - 1, available = available + 1 WHERE id = ? AND frozen >= 1"
	}
}

// The call that every branch's Try is.
const (
	benchMethod  = "/bench.Account/TryDebit"
	benchRequest = "a request of about as many bytes as usual"
	benchBranch  = "01"
)

func rowID(n int) string { return "a" + strconv.Itoa(n) }

// lifecycle returns an operation that tries a branch on one of so many
// accounts and then confirms it, or cancels every fifth.
func lifecycle(accounts int) func(form) Operation {
	return func(f form) Operation {
		var n atomic.Int64
		return func(ctx context.Context, _ int) error {
			i := int(n.Add(1))
			gid, err := uuid.NewV7()
			if err != nil {
				return err
			}
			// 7919 is a prime: neighbours in time are none in the table.
			account := rowID(i * 7919 % accounts)
			if err := f.deliver(ctx, gid.String(), tcc.Try, account); err != nil {
				return err
			}
			end := tcc.Confirm
			if i%5 == 0 {
				end = tcc.Cancel
			}
			return f.deliver(ctx, gid.String(), end, account)
		}
	}
}

// plainForm is a participant written with database/sql alone: a transaction
// for each delivery, with a barrier row of the same content.
type plainForm struct{ db *sql.DB }

func newPlainForm(cfg *mysqldriver.Config, conns int) (*plainForm, error) {
	db, err := openPlain(cfg, conns)
	if err != nil {
		return nil, err
	}
	return &plainForm{db}, nil
}

func (p *plainForm) close() error { return p.db.Close() }

func (p *plainForm) deliver(ctx context.Context, gid string, phase tcc.Phase, account string) error {
	return p.transact(ctx, func(tx *sql.Tx) error {
		if err := p.row(ctx, tx, gid, phase); err != nil {
			return err
		}
		return changeOne(tx.ExecContext(ctx, business(phase), account))
	})
}

func (p *plainForm) row(ctx context.Context, tx *sql.Tx, gid string, phase tcc.Phase) error {
	if phase == tcc.Try {
		return changeOne(tx.ExecContext(ctx,
			"INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at, method, request) VALUES (?, ?, 1, UTC_TIMESTAMP(3), ?, ?)",
			gid, benchBranch, benchMethod, []byte(benchRequest)))
	}
	state := barrier.Confirmed
	if phase == tcc.Cancel {
		state = barrier.Cancelled
	}
	return changeOne(tx.ExecContext(ctx,
		"UPDATE sub_transaction_barrier SET state = ?, updated_at = UTC_TIMESTAMP(3), method = NULL, request = NULL WHERE gid = ? AND branch_id = ? AND state = 1",
		state, gid, benchBranch))
}

// bare is a Try without a barrier.
func (p *plainForm) bare(ctx context.Context, account string) error {
	return p.transact(ctx, func(tx *sql.Tx) error {
		return changeOne(tx.ExecContext(ctx, business(tcc.Try), account))
	})
}

func (p *plainForm) transact(ctx context.Context, work func(tx *sql.Tx) error) error {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func changeOne(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("%d rows were changed", n)
	}
	return err
}

// storeForm is a participant on the barrier.
type storeForm struct{ store *mysql.Store }

func newStoreForm(ctx context.Context, cfg *mysqldriver.Config, opts mysql.Options) (*storeForm, error) {
	opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := mysql.Open(ctx, cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return &storeForm{s}, nil
}

func (s *storeForm) close() error { return s.store.Close() }

func (s *storeForm) deliver(ctx context.Context, gid string, phase tcc.Phase, account string) error {
	return s.do(ctx, gid, phase, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
		tx.Queue(barrier.Stmt{Query: business(phase), Args: []any{account}, Key: account, Rows: 1})
		return nil, nil
	})
}

// queued is a lone Try, in the form that is put together with others.
func (s *storeForm) queued(ctx context.Context, account string) error {
	gid, err := uuid.NewV7()
	if err != nil {
		return err
	}
	return s.deliver(ctx, gid.String(), tcc.Try, account)
}

// closure is a Try whose work uses the transaction itself.
func (s *storeForm) closure(ctx context.Context, account string) error {
	gid, err := uuid.NewV7()
	if err != nil {
		return err
	}
	return s.do(ctx, gid.String(), tcc.Try, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		return nil, changeOne(tx.ExecContext(ctx, business(tcc.Try), account))
	})
}

func (s *storeForm) do(ctx context.Context, gid string, phase tcc.Phase, work barrier.Work) error {
	call := barrier.Call{Branch: tcc.Branch{GID: gid, ID: benchBranch, Phase: phase, Method: benchMethod}}
	if phase == tcc.Try {
		call.Request = []byte(benchRequest)
	}
	_, err := s.store.Do(ctx, call, work)
	return err
}
