package sqlbranch

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// endBound is how long the end of a transaction (COMMIT, ROLLBACK, the mark
// of a rejection) may take. It does not use the caller's context: a caller
// who goes away in that moment would turn a known outcome into an unknown one.
const endBound = 5 * time.Second

// EndContext returns a context for the end of a transaction.
func EndContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), endBound)
}

// LookError says that the delivery must be rolled back and that the barrier
// row must be read to know what to answer. Cause is the error of a round trip,
// the phase's first if the business ran there before the barrier's answer was
// known; it stands only if the row says that the business may run. Together
// says that the statements went together: it stands only if they fail one by
// one, too.
type LookError struct {
	Cause    error
	Together bool
}

func (e *LookError) Error() string {
	if e.Cause == nil {
		return "the barrier row forbids the phase"
	}
	return e.Cause.Error()
}

func (e *LookError) Unwrap() error { return e.Cause }

// UnknownError says that the end of a transaction was not acknowledged: it
// may be committed or not. To run the delivery again is to find out.
type UnknownError struct{ Cause error }

func (e *UnknownError) Error() string {
	return "barrier: it is not known whether the transaction was committed: " + e.Cause.Error()
}

func (e *UnknownError) Unwrap() error { return e.Cause }

// delivery runs one call once.
type delivery struct {
	call    barrier.Call
	session Session
	// group is nil for a delivery that must run in a transaction of its own.
	group Group
	tx    *tx
	// entry is zero until the transaction has begun.
	entry Entry
	// failed is the first queued statement whose guard failed.
	failed *barrier.Stmt
	// together says that the statement that failed went with others: with the
	// barrier's, or with queued ones before it.
	together bool
}

// Errors with which the transaction's begin stops work that has nothing more
// to do. Work may return them or not: the delivery knows.
var (
	errSettled = errors.New("barrier: the branch is settled, the work has nothing to do")
	errGuard   = errors.New("barrier: a queued statement did not affect the rows that it must")
)

// Deliver runs call once in s, and closes s; or, if g is not nil and work only
// queues, in g. Its errors are those of barrier.Store's Do, a *LookError, and
// the database's own, which the store classifies.
func Deliver(ctx context.Context, s Session, g Group, call barrier.Call, work barrier.Work) (barrier.Result, error) {
	d := &delivery{call: call, session: s, group: g}
	d.tx = &tx{guard: &guard{open: d.open, openWith: d.openWith, syntax: s.Syntax(), may: mayRun}}
	res, err := d.run(ctx, work)
	if err == nil && res.Outcome == tcc.Done {
		// The connection is back in the pool: what is called here may deliver
		// branches of its own.
		for _, f := range d.tx.after {
			f()
		}
	}
	return res, err
}

func (d *delivery) run(ctx context.Context, work barrier.Work) (barrier.Result, error) {
	// A panicking work leaves here with its transaction rolled back.
	defer d.session.Close()
	response, workErr := d.work(ctx, work)
	return d.settle(ctx, response, workErr)
}

func (d *delivery) work(ctx context.Context, work barrier.Work) (response []byte, err error) {
	ended := false
	defer func() {
		if !ended {
			_ = d.tx.guard.end()
		}
	}()
	response, err = work(ctx, d.tx)
	ended = true
	failure := d.tx.guard.end()
	switch {
	case d.entry == Remembered, d.entry == Elsewhere, d.failed != nil:
		return response, nil // whatever work made of it
	case failure != nil:
		return nil, &statementError{failure: failure, work: err}
	}
	return response, err
}

// statementError is a direct statement's failure, with what work made of it.
type statementError struct{ failure, work error }

func (e *statementError) Error() string {
	if e.work == nil {
		return fmt.Sprintf("barrier: the work went on after a statement failed: %v", e.failure)
	}
	return fmt.Sprintf("%v (the work returned: %v)", e.failure, e.work)
}

func (e *statementError) Unwrap() error { return e.failure }

// open begins the transaction in the middle of work, at its first direct
// statement.
func (d *delivery) open(ctx context.Context) (driver.Conn, error) {
	var err error
	switch {
	case d.tx.queueErr != nil:
		err = d.tx.queueErr
	case d.entry == 0:
		err = d.enter(ctx, nil, d.tx.take())
	case len(d.tx.queued) > 0:
		err = d.more(ctx, d.tx.take())
	}
	if err != nil {
		return nil, err
	}
	switch {
	case d.entry != Entered:
		return nil, errSettled
	case d.failed != nil:
		return nil, errGuard
	}
	return d.session.Lease().Conn, nil
}

// openWith begins the transaction with work's first direct statement. sent is
// false if it must run after the beginning.
func (d *delivery) openWith(ctx context.Context, query string, args []any) (res sql.Result, sent bool, err error) {
	if d.entry != 0 || d.tx.queueErr != nil || len(d.tx.queued) > 0 {
		return nil, false, nil //nolint:nilerr // what is malformed is told by open
	}
	// The rules are those of what is queued, for the same reasons.
	text, misfit := d.tx.guard.syntax.checkStatement(query, mayQueue)
	if misfit != nil || strings.Count(text, "?") != len(args) {
		return nil, false, nil //nolint:nilerr // it may run, but not so
	}
	e, res, sent, err := d.session.EnterWith(ctx, barrier.Stmt{Query: text, Args: args})
	if !sent {
		return nil, false, nil
	}
	d.together, d.entry = err != nil, e
	if err == nil && e != Entered {
		err = errSettled
	}
	if err != nil {
		return nil, true, err
	}
	return res, true, nil
}

func (d *delivery) enter(ctx context.Context, response []byte, stmts []barrier.Stmt) error {
	e, counts, err := d.session.Enter(ctx, response, stmts)
	if err != nil {
		d.together = len(stmts) > 1
		return err
	}
	d.entry = e
	if e == Entered {
		return d.check(stmts, counts)
	}
	return nil
}

func (d *delivery) more(ctx context.Context, stmts []barrier.Stmt) error {
	counts, err := d.session.Run(ctx, stmts)
	if err != nil {
		return err
	}
	return d.check(stmts, counts)
}

// check compares the rows affected with those declared.
func (d *delivery) check(stmts []barrier.Stmt, counts []int64) error {
	for i := range counts {
		switch {
		case counts[i] > stmts[i].Rows:
			return fmt.Errorf("barrier: %q affected %d rows, more than the %d that it must", stmts[i].Query, counts[i], stmts[i].Rows)
		case counts[i] < stmts[i].Rows && d.failed == nil:
			d.failed = &stmts[i]
		}
	}
	return nil
}

// settle ends the delivery after work has returned.
func (d *delivery) settle(ctx context.Context, response []byte, workErr error) (barrier.Result, error) {
	var failure *statementError
	switch {
	case d.tx.queueErr != nil && d.entry <= Entered:
		return barrier.Result{}, d.tx.queueErr
	case errors.As(workErr, &failure):
		return barrier.Result{}, d.afterFailure(ctx, failure)
	case len(response) > barrier.MaxResponseLen:
		workErr = fmt.Errorf("barrier: the response of %s has %d bytes, at most %d can be kept for duplicates", d.call.Branch, len(response), barrier.MaxResponseLen)
	}
	stored := response
	if d.entry == 0 {
		stmts := d.tx.take()
		if workErr != nil {
			stmts, response = nil, nil
		} else if d.group != nil {
			res, ended, err := d.join(ctx, response, stmts)
			if ended {
				return res, err
			}
		}
		if err := d.enter(ctx, response, stmts); err != nil {
			return barrier.Result{}, &LookError{Cause: err, Together: d.together}
		}
		stored = nil
	} else if d.entry == Entered && workErr == nil && d.failed == nil && len(d.tx.queued) > 0 {
		stmts := d.tx.take()
		if err := d.more(ctx, stmts); err != nil {
			return barrier.Result{}, &LookError{Cause: err, Together: len(stmts) > 1}
		}
	}
	switch {
	case d.entry == Remembered:
		return barrier.Result{Outcome: tcc.EmptyCancel}, nil
	case d.entry == Elsewhere:
		return barrier.Result{}, &LookError{}
	case d.failed != nil:
		return barrier.Result{}, d.otherwise(ctx)
	case workErr != nil:
		return barrier.Result{}, d.refuse(ctx, workErr)
	}
	end, cancel := EndContext(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return barrier.Result{}, err
	}
	if err := d.session.Commit(end, stored); err != nil {
		return barrier.Result{}, &UnknownError{err}
	}
	return barrier.Result{Response: response, Outcome: tcc.Done}, nil
}

// join runs the branch together with others. If ended is false nothing has
// happened, and it must run alone.
func (d *delivery) join(ctx context.Context, response []byte, stmts []barrier.Stmt) (res barrier.Result, ended bool, err error) {
	v, err := d.group.Join(ctx, Share{Call: d.call, Response: response, Stmts: stmts, After: d.tx.after})
	if err != nil {
		return barrier.Result{}, true, err
	}
	switch v.Fate {
	case Committed:
		return barrier.Result{Response: response, Outcome: tcc.Done}, true, nil
	case Refused:
		return barrier.Result{}, true, v.Rejection
	case Settled:
		action, _ := barrier.Decide(v.State, d.call.Branch.Phase)
		res, err = answer(d.call.Branch, Row{State: v.State}, action)
		return res, true, err
	case Taken:
		return barrier.Result{}, true, &LookError{}
	default:
		return barrier.Result{}, false, nil
	}
}

// afterFailure decides on a branch of which a direct statement failed. Work
// may have turned a constraint's violation into a rejection; that is its
// right. It may not go on, and it may not judge what has ended the
// transaction.
func (d *delivery) afterFailure(ctx context.Context, e *statementError) error {
	switch {
	case d.entry != Entered:
		return &LookError{Cause: e, Together: d.together}
	case e.work != nil && d.session.Alive(e.failure):
		return d.refuse(ctx, e.work)
	}
	return e
}

// refuse ends a branch whose work returned an error of its own.
func (d *delivery) refuse(ctx context.Context, workErr error) error {
	var r *tcc.Rejection
	switch {
	case !errors.As(workErr, &r):
		return workErr
	case d.call.Branch.Phase != tcc.Try:
		return fmt.Errorf("barrier: the work of a %s returned a rejection, which only a try may: %v", d.call.Branch.Phase, workErr) //nolint:errorlint // it must not travel as a rejection
	}
	return d.reject(ctx, r)
}

// reject makes a rejection stick, and returns it only then.
func (d *delivery) reject(ctx context.Context, r *tcc.Rejection) error {
	fit := r.Fit()
	end, cancel := EndContext(ctx)
	defer cancel()
	if err := d.session.Reject(end, fit); err != nil {
		return &UnknownError{err}
	}
	return fit
}

// otherwise asks the failed statement why it failed.
func (d *delivery) otherwise(ctx context.Context) error {
	s := d.failed
	if d.call.Branch.Phase != tcc.Try {
		return fmt.Errorf("barrier: in %s %q affected fewer rows than the %d that it must: what the try set aside is gone", d.call.Branch.Phase, s.Query, s.Rows)
	}
	undone := false
	err := Why(ctx, d.session.Syntax(), s, func(ctx context.Context) (driver.Conn, error) {
		if !undone {
			if err := d.session.Undo(ctx); err != nil {
				return nil, err
			}
			undone = true
		}
		return d.session.Lease().Conn, nil
	})
	return d.refuse(ctx, err)
}
