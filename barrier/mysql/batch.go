package mysql

import (
	"context"
	"errors"
	"slices"
	"time"

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
	// waryFor is for how many batches with Cancels their rows are read first,
	// which takes a round trip, after a rejection or a Cancel whose row was not
	// TRIED, which without that takes two.
	waryFor = 32
)

// errRowsChanged says that some row was not in the state that its phase needs.
var errRowsChanged = errors.New("barrier/mysql: a row of the batch was not in its state")

// runBatch carries out a batch: a transaction for all, and more for what is
// left when some of them turned out to be special.
func (s *Store) runBatch(shares []*share) {
	todo := []*round{{store: s, shares: shares, lookAtCancels: s.group.wary.Load() > 0}}
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], r.run()...)
	}
}

// round is one attempt to run shares in one transaction.
type round struct {
	store  *Store
	shares []*share
	// look has the rows of all shares read first, lookAtCancels those of the
	// Cancels: they are what finds rows in other states in normal operation,
	// for a rejected transaction cancels all of its branches.
	look, lookAtCancels bool
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
	if err := r.readStates(ctx); err != nil {
		return r.afterError(err)
	}
	if len(r.shares) == 0 {
		return nil
	}
	var special []*share
	var failed error
	err := sqlbranch.Use(ctx, r.store.groupDB, func(l *sqlbranch.Lease) (clean bool) {
		r.lease = l
		special, failed = r.attempt(ctx)
		return r.rollback()
	})
	if r.open {
		r.awaitRollback(ctx)
	}
	switch {
	case err != nil:
		return r.afterError(err)
	case failed != nil:
		return r.afterError(failed)
	case len(special) > 0:
		// Only now: a branch that met its own row of this transaction would
		// wait for it, and at its end be left with a lock on the gap, into
		// which nobody could insert for as long as it takes.
		return r.without(special)
	}
	return nil
}

// attempt runs the transaction. It returns the shares that must run alone,
// for which the others must be run again, or an error if it failed as a whole.
// In both cases no share of r.shares has its verdict.
func (r *round) attempt(ctx context.Context) (special []*share, err error) {
	p := newPlan(r.shares)
	r.open = true
	did, err := trip(ctx, r.lease, true, p.steps)
	if err != nil {
		return nil, err
	}
	if !p.rowsMatch(did.rows) {
		return nil, errRowsChanged
	}
	if special = p.judge(did.rows); len(special) > 0 {
		return special, nil
	}
	if special = r.askWhy(ctx, p); len(special) > 0 {
		return special, nil
	}
	return nil, r.commit(p)
}

// rollback ends the transaction if it is open, and reports whether the
// connection is clean.
func (r *round) rollback() (clean bool) {
	if !r.open {
		return true
	}
	ctx, cancel := sqlbranch.EndContext(context.Background())
	defer cancel()
	_, err := r.lease.Exec(ctx, rollback)
	r.open = err != nil
	return err == nil
}

// commit ends the transaction and gives all shares their verdict.
func (r *round) commit(p *plan) error {
	steps, err := p.ending()
	if err != nil {
		return err
	}
	ctx, cancel := sqlbranch.EndContext(context.Background())
	defer cancel()
	if _, err := trip(ctx, r.lease, true, steps); err != nil {
		// Even where the server said no: to run again is to find out.
		return &sqlbranch.UnknownError{Cause: err}
	}
	r.open = false
	r.store.size.Record(ctx, int64(len(r.shares)))
	if len(p.rejected) > 0 {
		r.store.group.beWary()
	}
	for _, f := range p.rejected {
		r.finish(sqlbranch.Verdict{Fate: sqlbranch.Refused, Rejection: f.rejection}, f.share)
	}
	r.finish(sqlbranch.Verdict{Fate: sqlbranch.Committed}, p.committed()...)
	return nil
}

// afterError decides how to go on after a transaction that failed as a whole.
func (r *round) afterError(err error) []*round {
	var unknown *sqlbranch.UnknownError
	if errors.As(err, &unknown) {
		r.store.group.finish(ending{err: unknown}, r.shares...)
		return nil
	}
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
	// One by one outside the worker, so that those that can get through do. The
	// server does not say which of them waited for a row: all are suspect until
	// they got through.
	if r.store.Classify(err) == sqlbranch.LockWait || errors.Is(err, context.DeadlineExceeded) {
		for _, sh := range r.shares {
			r.store.group.block(sh.Share)
		}
	}
	r.sendAway(r.shares)
	return nil
}

// again is a further round.
func (r *round) again(shares []*share, look bool) *round {
	return &round{store: r.store, shares: shares, look: look, lookAtCancels: r.lookAtCancels, failures: r.failures}
}

// without sends special shares away and tries the others again.
func (r *round) without(special []*share) []*round {
	r.sendAway(special)
	rest := slices.DeleteFunc(slices.Clone(r.shares), func(sh *share) bool { return slices.Contains(special, sh) })
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
