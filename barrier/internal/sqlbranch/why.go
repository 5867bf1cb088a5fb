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
	if s.Otherwise == nil {
		return fmt.Errorf("barrier: %q affected fewer rows than the %d that it must, and has no Otherwise to say why", s.Query, s.Rows)
	}
	why := &tx{readOnly: true, guard: &guard{syntax: syntax, may: mayRead, open: open}}
	ended := false
	defer func() {
		if !ended {
			_ = why.guard.end()
		}
	}()
	err := s.Otherwise(ctx, why)
	ended = true
	failure := why.guard.end()
	switch {
	case failure != nil:
		return failure
	case why.queueErr != nil:
		return why.queueErr
	case err == nil:
		return fmt.Errorf("barrier: Otherwise of %q gave no reason", s.Query)
	}
	return err
}
