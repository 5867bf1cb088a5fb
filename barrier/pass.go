package barrier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// passPage is how many stuck rows a pass has in memory at a time; each may
	// have a request of 64 KiB.
	passPage = 100
	// retryAfter is how long a transaction may wait at the coordinator before
	// it is tried again.
	retryAfter = time.Hour
	// settleAfter is how long a transaction's end must be past before anybody
	// acts on it, unless OlderThan is less: calls that the coordinator had
	// under way when it was stopped by hand may still be made.
	settleAfter = 2 * time.Minute
	// retryIntervalEnd is the interval from which a transaction is not asked
	// to be tried again: each failure doubles it, and DTM's arithmetic ends at
	// 2^31 seconds on SQL and somewhat later elsewhere.
	retryIntervalEnd = (1 << 29) * time.Second
)

// PassResult is what one pass of a [Resolver] found and did.
type PassResult struct {
	// Stuck counts the rows that were TRIED for longer than the threshold, and
	// Oldest is the age of the oldest.
	Stuck  int
	Oldest time.Duration
	// Verdicts counts them by what the coordinator said.
	Verdicts map[Verdict]int
	// Resolutions are the acts of the pass, those that failed included.
	Resolutions []Resolution
	// Retried is how many transactions the coordinator was asked to try again,
	// and Exhausted how many have failed so often that it must not be asked.
	Retried, Exhausted int
}

// Pass looks once at all rows that are TRIED for longer than the threshold. It
// confirms those whose global transaction is committed and cancels those whose
// is aborted, when the coordinator itself calls nobody any more; it leaves alone
// what is in progress, but has it tried again if the coordinator has waited for
// more than an hour to call a branch of this database; and it only reports what
// the coordinator does not know, contradicts itself about, or cannot be asked.
//
// It reads the whole table, which those of [Resolver.Run] do only now and then.
// The error says what could not be read or done; the rest was.
func (r *Resolver) Pass(ctx context.Context) (PassResult, error) {
	return r.pass(ctx, newWindow())
}

func (r *Resolver) pass(ctx context.Context, w *window) (PassResult, error) {
	p := &pass{r: r, now: time.Now(), PassResult: PassResult{Verdicts: make(map[Verdict]int)}}
	from, known := w.begin(p.now, r.cfg.OlderThan)
	read := errors.Join(p.again(ctx, known), p.walk(ctx, from))
	w.end(p.left, read == nil)
	err := errors.Join(append(p.failed, read, r.completeAll(ctx))...)
	if read != nil || ctx.Err() != nil {
		return p.PassResult, err // half a picture is no measurement
	}
	err = errors.Join(err, p.retry(ctx))
	r.telemetry.found(ctx, p.PassResult)
	if p.Stuck > 0 {
		r.cfg.Logger.WarnContext(ctx, "barrier: branches are stuck", p.counts()...)
	}
	return p.PassResult, err
}

// counts are the result, for the log.
func (p *PassResult) counts() []any {
	attrs := []any{"stuck", p.Stuck, "oldest", p.Oldest.Round(time.Second).String(), "exhausted", p.Exhausted}
	for _, v := range verdicts() {
		attrs = append(attrs, v.String(), p.Verdicts[v])
	}
	return attrs
}

// completeAll ends the open records of branches that have ended.
func (r *Resolver) completeAll(ctx context.Context) error {
	opts := ResolutionsOptions{OpenOnly: true}
	for {
		open, err := r.cfg.Store.Resolutions(ctx, opts)
		if err != nil || len(open) == 0 {
			return err
		}
		for _, o := range open {
			if o.After, err = r.state(ctx, o.GID, o.BranchID); err != nil {
				return err
			}
			if o.After == Tried {
				continue
			}
			if err := r.cfg.Store.EndResolution(ctx, o); err != nil {
				return err
			}
		}
		opts.After = open[len(open)-1]
	}
}

// pass is a Pass under way.
type pass struct {
	PassResult
	r   *Resolver
	now time.Time
	// away says that the coordinator did not answer: it is not asked for each
	// of a thousand rows whether that is still so.
	away bool
	// gid and view are of the row before: the branches of one transaction are
	// neighbours.
	gid  string
	view View
	// waiting are the times until the next retries of what has waited long,
	// and counted is the last transaction that was.
	waiting []time.Duration
	counted string
	// left are the rows that stay TRIED, failed why some of them do.
	left   []Position
	failed []error
}

// again looks at rows that were stuck before. Its error says what could not be
// read.
func (p *pass) again(ctx context.Context, known []Position) error {
	for _, k := range known {
		branches, err := p.r.cfg.Store.Branches(ctx, k.GID)
		if err != nil {
			return err
		}
		for _, b := range branches {
			if b.BranchID == k.BranchID && b.State == Tried {
				p.look(ctx, b.StuckBranch)
			}
		}
	}
	return nil
}

// walk looks at the stuck rows from a position on. Its error says what could not
// be read.
func (p *pass) walk(ctx context.Context, from Position) error {
	opts := StuckOptions{OlderThan: p.r.cfg.OlderThan, Limit: passPage, After: from}
	for {
		rows, err := p.r.cfg.Store.Stuck(ctx, opts)
		if err != nil {
			return err
		}
		for _, row := range rows {
			p.look(ctx, row)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if len(rows) < passPage {
			return nil
		}
		opts.After = rows[len(rows)-1].Position()
	}
}

// look deals with one stuck row.
func (p *pass) look(ctx context.Context, row StuckBranch) {
	p.Stuck++
	p.Oldest = max(p.Oldest, p.now.Sub(row.TriedAt))
	p.ask(ctx, row.GID)
	p.settle()
	err := p.compare(ctx)
	p.Verdicts[p.view.Verdict]++
	p.collect()
	phase, end := p.view.Verdict.phase()
	if err != nil {
		p.left, p.failed = append(p.left, row.Position()), append(p.failed, err)
		return
	}
	if !end {
		p.r.report(ctx, row, p.view)
		p.left = append(p.left, row.Position())
		return
	}
	res, err := p.r.finish(ctx, Branch{StuckBranch: row, State: Tried}, Resolution{
		Phase: phase, Basis: ByCoordinator, By: p.r.cfg.By,
		Reason: fmt.Sprintf("the coordinator's status is %q, and it calls nobody any more", p.view.Status),
	})
	p.Resolutions = append(p.Resolutions, res)
	if err != nil {
		p.left, p.failed = append(p.left, row.Position()), append(p.failed, err)
	}
}

// ask brings view up to date for a transaction.
func (p *pass) ask(ctx context.Context, gid string) {
	if gid == p.gid && !p.away {
		return
	}
	p.gid, p.view = gid, View{Verdict: Away}
	if p.away {
		return
	}
	view, err := p.r.cfg.Coordinator.Look(ctx, gid)
	if err != nil {
		p.away = true
		p.r.cfg.Logger.WarnContext(ctx, "barrier: the coordinator gives no answer about stuck branches", "gid", gid, "error", err)
		return
	}
	p.view = view
}

// settle takes a transaction for one in progress that ended only now.
func (p *pass) settle() {
	_, end := p.view.Verdict.phase()
	if end && p.now.Sub(p.view.LastTried) < min(p.r.cfg.OlderThan, settleAfter) {
		p.view.Verdict = InProgress
	}
}

// compare makes a verdict contradictory that branches in this database, or a
// person's decision that is not carried out yet, speak against.
func (p *pass) compare(ctx context.Context) error {
	phase, end := p.view.Verdict.phase()
	if !end {
		return nil
	}
	branches, err := p.r.cfg.Store.Branches(ctx, p.gid)
	if err != nil {
		return err
	}
	open, err := p.r.cfg.Store.Resolutions(ctx, ResolutionsOptions{GID: p.gid, OpenOnly: true, Limit: 1000})
	if err != nil {
		return err
	}
	otherwise := slices.ContainsFunc(open, func(o Resolution) bool { return o.Basis == ByOperator && o.Phase != phase })
	if otherwise || p.r.contradicted(branches, phase) != nil {
		p.view.Verdict = Contradictory
	}
	return nil
}

// collect notes a transaction that the coordinator should try again, once for
// all of its branches here. It may be waiting for another participant, which
// need not have a row that tells of it.
func (p *pass) collect() {
	v, wait := p.view, p.view.NextRetry.Sub(p.now)
	switch {
	case v.Verdict != InProgress || p.counted == p.gid:
	case v.LastTried.IsZero() || p.now.Sub(v.LastTried) < retryAfter || wait <= 0:
	case v.RetryInterval >= retryIntervalEnd:
		p.Exhausted++
		p.counted = p.gid
	default:
		p.waiting = append(p.waiting, wait)
		p.counted = p.gid
	}
}

// retry has the coordinator try again what has waited long. It can only be told
// how many, from which wait on; the soonest come first, so that what must not be
// tried, with the longest waits, stays out.
func (p *pass) retry(ctx context.Context) error {
	if len(p.waiting) == 0 {
		return nil
	}
	later := p.waiting[0]
	for _, w := range p.waiting {
		later = min(later, w)
	}
	n, err := p.r.cfg.Coordinator.RetryNow(ctx, later-min(later/2, time.Minute), len(p.waiting))
	p.Retried = n
	if n > 0 {
		p.r.cfg.Logger.InfoContext(ctx, "barrier: the coordinator was asked to try again what has waited for more than "+retryAfter.String(), "transactions", n)
	}
	return err
}
