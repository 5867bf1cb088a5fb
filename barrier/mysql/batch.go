package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

const (
	// batchLockWait is how long a batch waits for a row: the least that the
	// server knows, for all of its branches wait with it.
	batchLockWait = time.Second
	// batchBound is how long a batch may take up to its end, whatever it
	// meets. Branches of one that takes longer run alone.
	batchBound = 3 * time.Second
	// whyBound is how long one Otherwise may take while a batch waits for it.
	whyBound = time.Second
	// maxRounds bounds how often the branches of one batch are tried together
	// again, after a deadlock or a lost connection.
	maxRounds = 4
)

// errRowsChanged says that some row was not in the state that its phase needs.
var errRowsChanged = errors.New("barrier/mysql: a row of the batch was not in its state")

// runBatch carries out a batch: a transaction for all, and more for what is
// left when some of them turned out to be special.
func (s *Store) runBatch(shares []*share) {
	todo := []*round{{store: s, shares: shares}}
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], r.run()...)
	}
}

// round is one attempt to run shares in one transaction.
type round struct {
	store  *Store
	shares []*share
	// look has the rows of all phases read first, not of Cancels only.
	look bool
	// failures counts attempts that were undone for others' sake.
	failures int

	lease *sqlbranch.Lease
	// open says that a transaction may be open on the connection.
	open bool
}

// run carries out the round and returns what is to be tried next.
func (r *round) run() []*round {
	// One Cancel alone is quicker, and knows an empty one from the others.
	if len(r.shares) == 1 && r.shares[0].Call.Branch.Phase == tcc.Cancel {
		r.sendAway(r.shares)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), batchBound)
	defer cancel()
	next, err := r.attempt(ctx)
	r.close()
	if err != nil {
		next = r.afterError(err)
	}
	return next
}

// attempt returns an error if the transaction failed as a whole, in which case
// no share of r.shares has its verdict.
func (r *round) attempt(ctx context.Context) ([]*round, error) {
	if err := r.readStates(ctx); err != nil {
		return nil, err
	}
	if len(r.shares) == 0 {
		return nil, nil
	}
	lease, err := sqlbranch.Acquire(ctx, r.store.groupDB)
	if err != nil {
		return nil, err
	}
	r.lease = lease
	p := newPlan(r.shares)
	r.open = true
	counts, err := trip(ctx, r.lease, true, p.steps)
	if err != nil {
		return nil, err
	}
	if !p.rowsMatch(counts) {
		return nil, errRowsChanged
	}
	if special := p.judge(counts); len(special) > 0 {
		return r.without(special), nil
	}
	if special := r.askWhy(p); len(special) > 0 {
		return r.without(special), nil
	}
	r.commit(p)
	return nil, nil
}

// readStates gives the shares whose rows answer them already, or make them
// special, their verdict, and leaves the others in r.shares.
//
// A multi-row Cancel could not be understood: its counts are a sum.
func (r *round) readStates(ctx context.Context) error {
	var keys []branchKey
	for _, sh := range r.shares {
		if r.look || sh.Call.Branch.Phase == tcc.Cancel {
			keys = append(keys, keyOf(sh.Call.Branch))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	states, err := readStates(ctx, r.store.groupDB, keys)
	if err != nil {
		return err
	}
	var stay []*share
	for _, sh := range r.shares {
		b := sh.Call.Branch
		if b.Phase != tcc.Cancel && !r.look {
			stay = append(stay, sh)
			continue
		}
		state := states[keyOf(b)]
		switch action, _ := barrier.Decide(state, b.Phase); {
		case action == barrier.Run:
			stay = append(stay, sh)
		case action == barrier.Remember:
			r.finish(sqlbranch.Verdict{Fate: sqlbranch.Alone}, sh)
		case b.Phase == tcc.Cancel:
			r.finish(sqlbranch.Verdict{Fate: sqlbranch.Settled, State: state}, sh)
		default:
			r.finish(sqlbranch.Verdict{Fate: sqlbranch.Taken}, sh)
		}
	}
	r.shares = stay
	return nil
}

// askWhy has each failed guard's Otherwise say why, on the batch's own
// connection: it sees what the others have done, as if it came right after.
// It returns the shares whose Otherwise gave no rejection.
func (r *round) askWhy(p *plan) (special []*share) {
	for _, f := range p.rejected {
		err := r.why(p, f)
		if !errors.As(err, &f.rejection) {
			special = append(special, f.share)
			if r.lease == nil {
				return special
			}
			continue
		}
		f.rejection = f.rejection.Fit()
	}
	return special
}

// why asks one share. An Otherwise that does not come back costs the batch its
// connection, but no more than whyBound.
func (r *round) why(p *plan, f *refusal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.share.ctx), whyBound)
	defer cancel()
	lease := r.lease
	open := func(ctx context.Context) (driver.Conn, error) { return lease.Conn, p.readOnly(ctx, lease) }
	said := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				said <- fmt.Errorf("barrier/mysql: Otherwise panicked: %v", v)
			}
		}()
		said <- sqlbranch.Why(ctx, sqlbranch.MySQL, f.stmt, open)
	}()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		// Whether it is using the connection is not known: no ROLLBACK, the
		// server does that when the connection is closed.
		r.lease.GiveBack(false)
		r.lease = nil
		return ctx.Err()
	}
}

// commit ends the transaction and gives all shares their verdict.
func (r *round) commit(p *plan) {
	steps, err := p.ending()
	if err == nil {
		ctx, cancel := sqlbranch.EndContext(context.Background())
		defer cancel()
		_, err = trip(ctx, r.lease, true, steps)
	}
	if err != nil {
		// Even where the server said no: to run again is to find out.
		r.close()
		r.store.group.finish(ending{err: &sqlbranch.UnknownError{Cause: err}}, r.shares...)
		return
	}
	r.open = false
	for _, f := range p.rejected {
		r.finish(sqlbranch.Verdict{Fate: sqlbranch.Refused, Rejection: f.rejection}, f.share)
	}
	r.finish(sqlbranch.Verdict{Fate: sqlbranch.Committed}, p.committed()...)
}

// close ends the transaction if it is open and gives the connection back.
func (r *round) close() {
	if r.lease == nil {
		return
	}
	clean := !r.open
	if r.open {
		ctx, cancel := sqlbranch.EndContext(context.Background())
		defer cancel()
		_, err := r.lease.Exec(ctx, rollback)
		clean = err == nil
	}
	r.lease.GiveBack(clean)
	r.lease = nil
}

// afterError decides how to go on after a transaction that failed as a whole.
func (r *round) afterError(err error) []*round {
	switch class := r.store.Classify(err); class {
	case sqlbranch.Deadlock, sqlbranch.Lost:
		r.store.Retrying(context.Background(), r.shares[0].Call.Branch, class, err)
		if r.failures++; r.failures < maxRounds {
			return []*round{r.again(r.shares, r.look)}
		}
	case sqlbranch.Final:
		if errors.Is(err, errRowsChanged) {
			r.failures++ // a look may be outdated as soon as it was had
		}
		if errors.Is(err, context.DeadlineExceeded) || r.failures >= maxRounds {
			break
		}
		if !r.look || errors.Is(err, errRowsChanged) {
			return []*round{r.again(r.shares, true)}
		}
		// A statement that the database refuses, such as one that violates a
		// constraint. The server does not say whose it was.
		if half := len(r.shares) / 2; half > 0 {
			return []*round{r.again(r.shares[:half], true), r.again(r.shares[half:], true)}
		}
	}
	// One by one outside the worker, so that those that can get through do.
	r.sendAway(r.shares)
	return nil
}

// again is a further round.
func (r *round) again(shares []*share, look bool) *round {
	return &round{store: r.store, shares: shares, look: look, failures: r.failures}
}

// without sends special shares away and tries the others again.
func (r *round) without(special []*share) []*round {
	r.sendAway(special)
	rest := slices.DeleteFunc(r.shares, func(sh *share) bool { return slices.Contains(special, sh) })
	if len(rest) == 0 {
		return nil
	}
	return []*round{r.again(rest, r.look)}
}

// sendAway has shares run alone.
func (r *round) sendAway(shares []*share) {
	r.finish(sqlbranch.Verdict{Fate: sqlbranch.Alone}, shares...)
}

func (r *round) finish(v sqlbranch.Verdict, shares ...*share) {
	r.store.group.finish(ending{verdict: v}, shares...)
}

// readStates reads rows without locking them.
func readStates(ctx context.Context, db *sql.DB, keys []branchKey) (map[branchKey]barrier.State, error) {
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k.gid, k.id)
	}
	rows, err := db.QueryContext(ctx, selectStates+keyList(len(keys)), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	states := make(map[branchKey]barrier.State, len(keys))
	for rows.Next() {
		var k branchKey
		var state barrier.State
		if err := rows.Scan(&k.gid, &k.id, &state); err != nil {
			return nil, err
		}
		states[k] = state
	}
	return states, rows.Err()
}
