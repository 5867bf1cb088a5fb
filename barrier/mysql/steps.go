package mysql

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
)

// step is one statement of a round trip.
type step struct {
	query string
	args  []any
}

// The steps without arguments.
const (
	start     = "START TRANSACTION"
	savepoint = "SAVEPOINT tcc"
	undo      = "ROLLBACK TO SAVEPOINT tcc"
	commit    = "COMMIT"
	rollback  = "ROLLBACK"
)

func appendStmts(steps []step, stmts []barrier.Stmt) []step {
	for _, st := range stmts {
		steps = append(steps, step{st.Query, st.Args})
	}
	return steps
}

// digits returns b as UNHEX takes it: nothing is stored rather than an empty
// string.
func digits(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return hex.EncodeToString(b)
}

// effects is what steps did: the rows that each affected, and the id that the
// last one made. It is the sql.Result of the last one.
type effects struct {
	rows   []int64
	lastID int64
}

// LastInsertId implements sql.Result.
func (e effects) LastInsertId() (int64, error) { return e.lastID, nil }

// RowsAffected implements sql.Result.
func (e effects) RowsAffected() (int64, error) { return e.rows[len(e.rows)-1], nil }

// trip runs steps, in one round trip if multi says that the connection can,
// and returns what they did. After an error, steps before the failing one have
// run.
func trip(ctx context.Context, l *sqlbranch.Lease, multi bool, steps []step) (effects, error) {
	did, err := exec(ctx, l, multi && len(steps) > 1, steps)
	if classify(err) == sqlbranch.Away {
		// The server takes no writes any more; the next connection may lead
		// to its successor.
		l.Spoil()
	}
	if errors.Is(err, driver.ErrSkip) {
		return effects{}, errors.New("barrier/mysql: the arguments do not fit the server's max_allowed_packet")
	}
	return did, err
}

func exec(ctx context.Context, l *sqlbranch.Lease, together bool, steps []step) (effects, error) {
	if !together {
		return oneByOne(ctx, l, steps)
	}
	text, args := join(steps)
	res, err := l.Exec(ctx, text, args...)
	if err != nil {
		return effects{}, err
	}
	all, ok := res.(mysqldriver.Result)
	if !ok {
		return effects{}, fmt.Errorf("barrier/mysql: the driver's result is a %T", res)
	}
	did := effects{rows: all.AllRowsAffected()}
	if len(did.rows) != len(steps) {
		return effects{}, fmt.Errorf("barrier/mysql: %d statements gave %d results", len(steps), len(did.rows))
	}
	did.lastID, err = all.LastInsertId()
	return did, err
}

func join(steps []step) (string, []any) {
	chars, n := 0, 0
	for i := range steps {
		chars += len(steps[i].query) + len("; ")
		n += len(steps[i].args)
	}
	var text strings.Builder
	text.Grow(chars)
	args := make([]any, 0, n)
	for i := range steps {
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(steps[i].query)
		args = append(args, steps[i].args...)
	}
	return text.String(), args
}

func oneByOne(ctx context.Context, l *sqlbranch.Lease, steps []step) (effects, error) {
	did := effects{rows: make([]int64, len(steps))}
	for i, st := range steps {
		res, err := l.Exec(ctx, st.query, st.args...)
		if err != nil {
			return effects{}, err
		}
		if did.rows[i], err = res.RowsAffected(); err != nil {
			return effects{}, err
		}
		if did.lastID, err = res.LastInsertId(); err != nil {
			return effects{}, err
		}
	}
	return did, nil
}
