package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// retriers is how many parked messages a process tries at once. A handler
	// that ignores the end of its context takes one of them away.
	retriers = 4
	// poll is how often a process looks for what others have parked, or
	// have claimed and left.
	poll = time.Second
	// leaseMargin is how much longer than a try a claim lasts: to write down
	// what became of it.
	leaseMargin = settleTimeout + 5*time.Second
	// lookTimeout bounds a look at the table: a connection that has fallen
	// silent must not stop a loop.
	lookTimeout = 5 * time.Second
	// candidates is how many due rows are looked at to claim one.
	candidates = 16
)

// Run tries parked messages again when they are due, publishes dead letters,
// and deletes old rows, until ctx ends; then it waits for the handlers that it
// has called. Without it a message that failed stays parked. Every process of a
// consumer should run it: they share the work by claims.
func (i *Inbox) Run(ctx context.Context) {
	unregister := i.telemetry.observe(i)
	defer unregister()
	var wg sync.WaitGroup
	wg.Go(func() { i.loop(ctx, Parked, i.retry, retriers, i.tryAgain) })
	if i.cfg.DeadLetters != nil {
		wg.Go(func() { i.loop(ctx, Dead, i.bury, 1, i.publish) })
	}
	wg.Go(func() { i.keepHouse(ctx) })
	wg.Wait()
}

// loop claims due rows of a state, one by one, and has f work on some at once.
func (i *Inbox) loop(ctx context.Context, state State, wake bell, slots int, f func(context.Context, *run)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	free := make(chan struct{}, slots)
	for {
		select {
		case <-ctx.Done():
			return
		case free <- struct{}{}:
		}
		r, wait, err := i.claimDue(ctx, state)
		if err != nil && ctx.Err() == nil {
			i.cfg.Logger.WarnContext(ctx, "inbox: looking for due messages failed, it is tried again", "state", state.String(), "error", err)
		}
		if r != nil {
			wg.Go(func() {
				defer func() { <-free; wake.ring() }()
				f(ctx, r)
			})
			continue
		}
		<-free
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// claimDue claims one of the rows that are due for the longest time. If none is,
// it says how long to wait.
func (i *Inbox) claimDue(ctx context.Context, state State) (*run, time.Duration, error) {
	rows, err := i.due(ctx, state)
	if err != nil {
		return nil, poll, err
	}
	wait := poll
	for n, row := range rows {
		if row.in > 0 {
			wait = min(wait, row.in)
			rows = rows[:n]
			break
		}
	}
	// Not in their order: other processes see the same ones.
	for _, n := range rand.Perm(len(rows)) {
		// One that ignores the end of its context may still run here.
		if i.running.has(rows[n].id) {
			continue
		}
		r, err := i.claim(ctx, state, rows[n])
		if r != nil || err != nil {
			return r, poll, err
		}
		wait = restart(1) // another process was faster, and there may be more
	}
	return nil, wait, nil
}

// dueRow is a row that is or will be due.
type dueRow struct {
	id string
	at int64
	in time.Duration
}

func (i *Inbox) due(ctx context.Context, state State) (due []dueRow, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	rows, err := i.cfg.DB.QueryContext(ctx, i.sql.due, state, i.cfg.Consumer, candidates)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var row dueRow
		var in int64
		if err := rows.Scan(&row.id, &row.at, &in); err != nil {
			return nil, err
		}
		row.in = time.Duration(in) * time.Millisecond
		due = append(due, row)
	}
	return due, rows.Err()
}

// claim takes a row for one run; nil: another process was faster. A try is
// counted here, so that it counts also if the process dies in it. The end of ctx
// does not interrupt it: the row would be nobody's until the claim has run out.
func (i *Inbox) claim(ctx context.Context, state State, row dueRow) (*run, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	r := &run{id: row.id, claim: claimName()}
	tries := 0
	if state == Parked {
		tries = 1
	}
	lease := (i.cfg.Timeout + leaseMargin).Milliseconds()
	err := i.update(ctx, i.sql.claim, r.claim, tries, lease, i.cfg.Consumer, r.id, state, row.at)
	if errors.Is(err, errExists) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var waited int64
	var payload []byte
	var metadata sql.NullString
	var reason string
	err = i.cfg.DB.QueryRowContext(ctx, i.sql.read, i.cfg.Consumer, r.id, state, r.claim).
		Scan(&r.tries, &r.excused, &waited, &payload, &metadata, &reason)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.waited = time.Duration(waited) * time.Millisecond
	r.reason = reason
	if r.msg, err = storedMessage(r.id, payload, metadata); err != nil {
		return nil, err // the claim keeps it out of the way
	}
	return r, nil
}

// tryAgain runs a parked message.
func (i *Inbox) tryAgain(ctx context.Context, r *run) {
	parent := ctx
	ctx, end := i.telemetry.begin(ctx, i, r.msg)
	err := i.doCounted(ctx, r)
	switch {
	case err == nil:
		i.telemetry.ended(ctx, r)
		end(outcomeDone, nil)
		return
	case errors.Is(err, errExists): // replayed, or claimed by another since the lease ran out
		end(outcomeDuplicate, nil)
		return
	case parent.Err() != nil:
		i.release(ctx, r)
		end(outcomeRefused, err)
		return
	}
	v, settleErr := i.settle(ctx, r, err)
	switch {
	case errors.Is(settleErr, errExists):
		end(outcomeDuplicate, nil)
	case settleErr != nil: // the lease brings it back
		end(outcomeRefused, fmt.Errorf("%w; and it could not be written down: %w", err, settleErr))
	case v.state == Dead:
		end(outcomeDead, err)
	default:
		end(outcomeParked, err)
	}
}

// doCounted runs a message unless processes have died in its last tries.
func (i *Inbox) doCounted(ctx context.Context, r *run) error {
	if r.tries-r.excused > i.cfg.MaxTries {
		return fmt.Errorf("the process ended in the last of %d tries; before that: %s", r.tries-1, r.reason)
	}
	return i.do(ctx, r)
}

// release gives a claimed message back, for this process ends.
func (i *Inbox) release(ctx context.Context, r *run) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	v := verdict{state: Parked, excused: r.excused + 1, reason: r.reason}
	if err := i.repark(ctx, r, v); err != nil && !errors.Is(err, errExists) {
		i.cfg.Logger.WarnContext(ctx, "inbox: a message could not be given back, it is tried again when its claim runs out", "message_id", r.id, "error", err)
	}
}
