package inbox

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// errTogether says that the row and the first statement of the work, sent
// together, failed: which of them did, only a run apart can tell.
var errTogether = errors.New("the row and the work's first statement failed together")

// opening is what a transaction begins with: BEGIN and the row, which is undone
// with the work. It goes with the first statement of the work if that is an Exec,
// so that the row takes no round trip. That is not so for a message that was
// parked, and in a run that follows a failure: a statement that fails leaves open
// which one it was, and what the work makes of an error is its own affair.
type opening struct {
	begin beginning
	query string
	args  []any
}

func (i *Inbox) opening(r *run) *opening {
	keep := i.cfg.Retention.Milliseconds()
	o := &opening{begin: i.begin, query: i.sql.insertDone, args: []any{i.cfg.Consumer, r.id, keep}}
	if r.claim != "" {
		o.query, o.args = i.sql.finish, []any{keep, i.cfg.Consumer, r.id, r.claim}
	}
	r.apart = r.apart || r.claim != "" || !i.begin.oneTrip
	return o
}

// text is all of it for one round trip.
func (o *opening) text() string { return strings.Join(o.begin.statements, "; ") + "; " + o.query }

// begin sends the opening alone, unless it was sent. What it meets ends the
// transaction and is in refused.
func (t *Tx) begin(ctx context.Context) {
	if t.opening == nil {
		return
	}
	o := t.opening
	t.opening = nil
	query := o.text()
	if !o.begin.oneTrip {
		query = o.query
		for _, s := range o.begin.statements {
			if _, err := t.conn.ExecContext(ctx, s); err != nil {
				t.refuse(&databaseError{err})
				return
			}
		}
	}
	res, err := t.conn.ExecContext(ctx, query, o.args...)
	if isDuplicate(err) {
		err = errExists
	}
	if err == nil {
		err = affected(res)
	}
	t.refuse(own(err))
}

// beginWith sends the opening and a statement of the work, if that can be.
func (t *Tx) beginWith(ctx context.Context, query string, args []any) (res sql.Result, sent bool, err error) {
	// The driver takes as an argument's place every question mark, also one
	// in a literal, and then sends the statement in another way, alone.
	if t.opening == nil || strings.Count(query, "?") != len(args) {
		t.begin(ctx)
		return nil, false, nil
	}
	o := t.opening
	t.opening, t.together = nil, true
	res, err = t.conn.ExecContext(ctx, o.text()+"; "+query, append(o.args, args...)...)
	switch {
	case err == nil:
	case isDuplicate(err):
		t.refuse(errExists)
	case classify(err) == final:
		t.refuse(errors.Join(errTogether, err))
	default:
		t.refuse(&databaseError{err})
	}
	return res, true, err
}

// refuse ends the transaction before it has begun.
func (t *Tx) refuse(err error) {
	if err != nil {
		t.refused = err
		_ = t.end("ROLLBACK") // from now on a use is sql.ErrConnDone
	}
}
