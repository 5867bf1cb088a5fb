package sqlbranch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// Class says what to do about a database's error.
type Class uint8

// The classes.
const (
	// Final errors will not go away by themselves.
	Final Class = iota
	// Deadlock: the server has ended the transaction in favour of another.
	Deadlock
	// LockWait: another transaction holds a row for too long.
	LockWait
	// Lost: the connection is gone, and with it the transaction, or the
	// answer to its COMMIT.
	Lost
	// Away: the database takes no work for now.
	Away
)

// String returns the class for logs and metrics.
func (c Class) String() string {
	return [...]string{"final", "deadlock", "lock_wait", "lost", "away"}[c]
}

// tries is how often a delivery is run for errors of the class. Deadlocks are
// cheap and converge (a rollback with N waiters kills N-1 of them; seven
// rounds were enough for 150); each lock wait takes the server's whole
// timeout, and DTM gives a call 3 s.
func (c Class) tries() int {
	switch c {
	case Deadlock:
		return 20
	case Lost:
		return 5
	case LockWait:
		return 2
	default:
		return 1
	}
}

// Backend is a database that holds barrier rows.
type Backend interface {
	// Session returns a session for one delivery. It must not use the
	// database yet. stepwise asks for the business statements to be sent only
	// after the barrier's answer is known.
	Session(call barrier.Call, stepwise bool) Session
	// Look reads a branch's row; the zero Row means that there is none.
	Look(ctx context.Context, b tcc.Branch) (Row, error)
	// Classify sorts errors of the database.
	Classify(err error) Class
	// Retrying is told of each further try.
	Retrying(ctx context.Context, b tcc.Branch, why Class, err error)
}

// Row is a barrier row as far as an answer needs it.
type Row struct {
	State    barrier.State
	Response []byte
	Reason   []byte
}

// Run is barrier.Store's Do. g may be nil: then every branch is a transaction
// of its own.
func Run(ctx context.Context, b Backend, g Group, call barrier.Call, work barrier.Work) (barrier.Result, error) {
	if n := len(call.Request); n > barrier.MaxRequestLen {
		return barrier.Result{}, tcc.Invalidf("the request has %d bytes, at most %d can be kept with the branch", n, barrier.MaxRequestLen)
	}
	r := &runner{backend: b, call: call, work: work}
	if g != nil {
		if g.Arrive(call.Branch) {
			r.group = g
		}
		defer g.Leave(call.Branch)
	}
	for {
		res, again, err := r.try(ctx)
		if !again {
			return res, err
		}
		if err := r.wait(ctx); err != nil {
			return barrier.Result{}, err
		}
	}
}

func newPause() *backoff.ExponentialBackOff {
	p := backoff.NewExponentialBackOff()
	p.InitialInterval = 2 * time.Millisecond
	p.MaxInterval = 100 * time.Millisecond
	p.Multiplier = 1.5
	p.RandomizationFactor = 0.9
	return p
}

type runner struct {
	backend  Backend
	group    Group // nil unless the branch may run with others
	call     barrier.Call
	work     barrier.Work
	pause    *backoff.ExponentialBackOff
	failures [Away + 1]int
	looks    int
	stepwise bool
}

// maxLooks bounds how often the row may turn out to have changed between a
// delivery's transaction and the look at the row after it.
const maxLooks = 20

// try runs the delivery once and says whether to run it again.
func (r *runner) try(ctx context.Context) (res barrier.Result, again bool, err error) {
	res, err = Deliver(ctx, r.backend.Session(r.call, r.stepwise), r.group, r.call, r.work)
	if err == nil {
		return res, false, nil
	}
	var look *LookError
	if errors.As(err, &look) && r.classify(err) == Final && ctx.Err() == nil {
		res, again, err = r.look(ctx, look)
		if again || err == nil {
			return res, again, err
		}
	}
	if class := r.classify(err); class != Final {
		return barrier.Result{}, r.mayRetry(ctx, class, err), r.giveUp(ctx, err)
	}
	if ctx.Err() != nil && !decided(err) {
		return barrier.Result{}, false, contextError(ctx, err)
	}
	return barrier.Result{}, false, err
}

// decided reports whether err is an answer that holds whatever became of the
// caller.
func decided(err error) bool {
	var rejection *tcc.Rejection
	var conflict *tcc.ConflictError
	return errors.As(err, &rejection) || errors.As(err, &conflict)
}

func (r *runner) classify(err error) Class {
	if decided(err) || errors.Is(err, tcc.ErrPending) || errors.Is(err, errRefused) || errors.Is(err, errRowsOpen) {
		return Final
	}
	if errors.Is(err, lostError{}) {
		return Lost
	}
	class := r.backend.Classify(err)
	var unknown *UnknownError
	if class == Final && errors.As(err, &unknown) {
		return Lost
	}
	return class
}

// look reads the row and answers by it.
func (r *runner) look(ctx context.Context, e *LookError) (res barrier.Result, again bool, err error) {
	row, err := r.backend.Look(ctx, r.call.Branch)
	if err != nil {
		return barrier.Result{}, false, fmt.Errorf("barrier: look at the row of %s: %w", r.call.Branch, err)
	}
	if r.looks++; r.looks > maxLooks {
		return barrier.Result{}, false, tcc.Retry(fmt.Errorf("barrier: the row of %s keeps changing", r.call.Branch))
	}
	switch action, _ := barrier.Decide(row.State, r.call.Branch.Phase); action {
	case barrier.Run:
		if e.Cause == nil {
			return barrier.Result{}, true, nil
		}
		if e.Together && !r.stepwise {
			// What the work makes of its statement's failure counts only where
			// the transaction goes on after it; and a statement that failed may
			// be one that must not run, for the guard of one before it did.
			r.stepwise = true
			return barrier.Result{}, true, nil
		}
		return barrier.Result{}, false, e.Cause
	case barrier.Remember:
		// The business, which should not have run, failed before the barrier's
		// answer could be read.
		r.stepwise = true
		return barrier.Result{}, true, nil
	default:
		res, err = answer(r.call.Branch, row, action)
		return res, false, err
	}
}

// answer is what a delivery gets that finds its branch settled.
func answer(b tcc.Branch, row Row, action barrier.Action) (barrier.Result, error) {
	switch action {
	case barrier.Replay:
		return barrier.Result{Response: row.Response, Outcome: tcc.Duplicate}, nil
	case barrier.RefuseLate:
		return barrier.Result{}, &barrier.LateTryError{Branch: b}
	case barrier.RefuseAgain:
		r := &tcc.Rejection{}
		if err := json.Unmarshal(row.Reason, r); err != nil {
			return barrier.Result{}, fmt.Errorf("barrier: the stored rejection of %s cannot be read: %w", b, err)
		}
		return barrier.Result{}, r
	default:
		return barrier.Result{}, &tcc.ConflictError{Branch: b, State: row.State.String()}
	}
}

func (r *runner) mayRetry(ctx context.Context, class Class, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if r.failures[class]++; r.failures[class] >= class.tries() {
		return false
	}
	r.backend.Retrying(ctx, r.call.Branch, class, err)
	return true
}

// giveUp is the error of a delivery of which nothing happened, or of which it
// is not known: both may be sent again.
func (r *runner) giveUp(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return contextError(ctx, err)
	}
	return tcc.Retry(err)
}

func contextError(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w (%v)", ctx.Err(), err) //nolint:errorlint // what the caller did is the error; the other is its consequence
}

func (r *runner) wait(ctx context.Context) error {
	if r.pause == nil {
		r.pause = newPause()
	}
	t := time.NewTimer(r.pause.NextBackOff())
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EncodeRejection returns r as it is stored.
func EncodeRejection(r *tcc.Rejection) ([]byte, error) { return json.Marshal(r) }
