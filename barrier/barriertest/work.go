package barriertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// The reasons of the suite's business.
const (
	reasonInsufficient = "INSUFFICIENT"
	reasonUnknown      = "UNKNOWN"
)

// move is the statement by which a phase moves a line's quantity.
func (l line) move(p tcc.Phase) (query string, args []any) {
	from, to := "available", l.item.kind.held
	switch p {
	case tcc.Confirm:
		from, to = l.item.kind.held, l.item.kind.gone
	case tcc.Cancel:
		from, to = l.item.kind.held, "available"
	}
	return fmt.Sprintf("UPDATE %s SET %s = %[2]s - ?, %[3]s = %[3]s + ? WHERE id = ? AND %[2]s >= ?", l.item.kind.table, from, to),
		[]any{l.qty, l.qty, l.item.id, l.qty}
}

// stmt is move as a queued statement.
func (b *branch) stmt(l line, p tcc.Phase) barrier.Stmt {
	query, args := l.move(p)
	s := barrier.Stmt{Query: query, Args: args, Key: l.item.id, Rows: 1}
	if p == tcc.Try {
		s.Otherwise = func(ctx context.Context, tx barrier.Tx) error {
			// The ledger's row, if there was one, is rolled back by now.
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ledger WHERE gid = ? AND branch_id = ?", b.gid, b.id).Scan(&n); err != nil {
				return err
			}
			if n != 0 {
				return errors.New("the Otherwise sees what should have been rolled back")
			}
			return l.why(ctx, tx)
		}
	}
	return s
}

// why says why a line could not be reserved.
func (l line) why(ctx context.Context, tx barrier.Tx) error {
	var left int64
	err := tx.QueryRowContext(ctx, "SELECT available FROM "+l.item.kind.table+" WHERE id = ?", l.item.id).Scan(&left)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return tcc.Reject(reasonUnknown, "", map[string]string{"item": l.item.String()})
	case err != nil:
		return err
	}
	return tcc.Reject(reasonInsufficient, "nicht genug übrig", map[string]string{"item": l.item.String(), "left": strconv.FormatInt(left, 10)})
}

const insertLedger = "INSERT INTO ledger (gid, n, branch_id, phase) VALUES (?, ?, ?, ?)"

// entry is the ledger's row for one run of a phase.
func (b *branch) entry(p tcc.Phase) barrier.Stmt {
	return barrier.Stmt{Query: insertLedger, Args: []any{b.gid, b.books.next(), b.id, p.String()}, Key: b.gid, Rows: 1}
}

// work is what the branch does in a phase, in its form.
func (b *branch) work(p tcc.Phase) barrier.Work {
	return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		var err error
		switch b.form {
		case alone:
			b.queueLines(tx, p)
		case queued:
			tx.Queue(b.entry(p))
			b.queueLines(tx, p)
		case direct:
			err = b.direct(ctx, tx, p)
		case mixed:
			err = b.mixed(ctx, tx, p)
		default:
			err = fmt.Errorf("no such form of work: %s", b.form)
		}
		if err != nil {
			return nil, err
		}
		return b.answerTo(p), nil
	}
}

func (b *branch) queueLines(tx barrier.Tx, p tcc.Phase) {
	for _, l := range b.lines {
		tx.Queue(b.stmt(l, p))
	}
}

func (b *branch) direct(ctx context.Context, tx barrier.Tx, p tcc.Phase) error {
	e := b.entry(p)
	if _, err := tx.ExecContext(ctx, e.Query, e.Args...); err != nil {
		return err
	}
	for _, l := range b.lines {
		query, args := l.move(p)
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		switch n, err := res.RowsAffected(); {
		case err != nil:
			return err
		case n == 1:
		case p == tcc.Try:
			return l.why(ctx, tx)
		default:
			return fmt.Errorf("%s moved %d rows of %s", p, n, l.item)
		}
	}
	return nil
}

// mixed queues the ledger's row, reads it back through a prepared statement,
// which must find it, and queues the lines.
func (b *branch) mixed(ctx context.Context, tx barrier.Tx, p tcc.Phase) error {
	tx.Queue(b.entry(p))
	stmt, err := tx.PrepareContext(ctx, "SELECT COUNT(*) FROM ledger WHERE gid = ? AND branch_id = ? AND phase = ?")
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }()
	var n int
	if err := stmt.QueryRowContext(ctx, b.gid, b.id, p.String()).Scan(&n); err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("a queued statement has run %d times before the query that follows it", n)
	}
	b.queueLines(tx, p)
	return nil
}
