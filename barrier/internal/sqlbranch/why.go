package sqlbranch

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/tcckit/tcckit/barrier"
)

// Why asks a statement whose guard failed for the reason, and returns it as an
// error. Otherwise reads through the connection that open returns, which is
// called at its first statement, and not at all if it reads nothing.
func Why(ctx context.Context, syntax Syntax, s *barrier.Stmt, open func(ctx context.Context) (driver.Conn, error)) error {
	return newQuestion(syntax, s, open).ask(ctx)
}

// WhyWithin is Why on a connection that others wait for: when ctx ends, the
// connection is the caller's again, whatever Otherwise does from then on. A
// panic of it is an error.
func WhyWithin(ctx context.Context, syntax Syntax, s *barrier.Stmt, open func(ctx context.Context) (driver.Conn, error)) error {
	q := newQuestion(syntax, s, open)
	q.tx.guard.limit = ctx
	said := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				said <- fmt.Errorf("barrier: Otherwise of %q panicked: %v", s.Query, v)
			}
		}()
		said <- q.ask(ctx)
	}()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		q.tx.guard.stop()
		return ctx.Err()
	}
}

// question is a statement's Otherwise with a Tx to read through.
type question struct {
	stmt *barrier.Stmt
	tx   *tx
}

func newQuestion(syntax Syntax, s *barrier.Stmt, open func(ctx context.Context) (driver.Conn, error)) *question {
	return &question{s, &tx{readOnly: true, guard: &guard{syntax: syntax, may: mayRead, open: open}}}
}

func (q *question) ask(ctx context.Context) error {
	s := q.stmt
	if s.Otherwise == nil {
		return fmt.Errorf("barrier: %q affected fewer rows than the %d that it must, and has no Otherwise to say why", s.Query, s.Rows)
	}
	ended := false
	defer func() {
		if !ended {
			_ = q.tx.guard.end()
		}
	}()
	err := s.Otherwise(ctx, q.tx)
	ended = true
	failure := q.tx.guard.end()
	switch {
	case failure != nil:
		return failure
	case q.tx.queueErr != nil:
		return q.tx.queueErr
	case err == nil:
		return fmt.Errorf("barrier: Otherwise of %q gave no reason", s.Query)
	}
	return err
}
