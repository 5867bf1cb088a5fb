package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

// plan is what one batch sends in its first round trip, and what its counts
// mean.
type plan struct {
	shares []*share
	steps  []step
	// rows are the multi-row statements of the barrier.
	rows []rowStep
	// orders are the business statements, in the order in which they are
	// sent, from the step business on.
	orders   []order
	business int
	// saved says that there is a savepoint to go back to: behind the rows, if
	// a lone Try has more to undo than one statement, or behind everything,
	// from when an Otherwise reads.
	saved bool
	// read says that an Otherwise has read.
	read bool
	// rejected are the Trys whose guard has failed.
	rejected []*refusal
}

// rowStep is a barrier statement that must affect so many rows.
type rowStep struct {
	step int
	want int64
}

// order is one business statement.
type order struct {
	share *share
	stmt  *barrier.Stmt
}

// refusal is a Try that is rejected where it is.
type refusal struct {
	share *share
	// stmt is the one whose guard failed first.
	stmt      *barrier.Stmt
	rejection *tcc.Rejection
}

func newPlan(shares []*share) *plan {
	p := &plan{shares: shares, steps: make([]step, 0, 4+len(shares))}
	p.steps = append(p.steps, step{query: start})
	p.addRows()
	if p.lone() && len(shares[0].Stmts) > 1 {
		p.saved = true
		p.steps = append(p.steps, step{query: savepoint})
	}
	p.addBusiness()
	return p
}

// lone reports whether a Try has the transaction for itself.
func (p *plan) lone() bool {
	return len(p.shares) == 1 && p.shares[0].Call.Branch.Phase == tcc.Try
}

// addRows adds one statement for each phase, rows in the order of their keys.
func (p *plan) addRows() {
	var by [tcc.Cancel + 1][]*share
	for _, sh := range p.shares {
		by[sh.Call.Branch.Phase] = append(by[sh.Call.Branch.Phase], sh)
	}
	for phase, shares := range by {
		if len(shares) == 0 {
			continue
		}
		slices.SortFunc(shares, func(a, b *share) int { return a.compare(b) })
		p.rows = append(p.rows, rowStep{len(p.steps), int64(len(shares))})
		p.steps = append(p.steps, rowsOf(tcc.Phase(phase), shares))
	}
}

// rowsOf brings the rows of branches into their phase's state.
func rowsOf(phase tcc.Phase, shares []*share) step {
	if phase == tcc.Try {
		args := make([]any, 0, 5*len(shares))
		for _, sh := range shares {
			b := sh.Call.Branch
			args = append(args, b.GID, b.ID, b.Method, digits(sh.Call.Request), digits(sh.Response))
		}
		return step{insertTried + strings.Repeat(", "+triedRow, len(shares)-1), args}
	}
	args := make([]any, 0, 2*len(shares))
	for _, sh := range shares {
		args = append(args, sh.Call.Branch.GID, sh.Call.Branch.ID)
	}
	update := updateAllConfirmed
	if phase == tcc.Cancel {
		update = updateAllCancelled
	}
	return step{update + anyOf(len(shares)), args}
}

// addBusiness adds all queued statements. Sorted by the row that they lock,
// across the branches, batches of several workers and processes take those
// rows in one order and do not deadlock on them. A branch of which the order
// matters comes behind, as it is.
func (p *plan) addBusiness() {
	p.business = len(p.steps)
	var ordered []order
	for _, sh := range p.shares {
		for i := range sh.Stmts {
			o := order{sh, &sh.Stmts[i]}
			if sh.ordered {
				ordered = append(ordered, o)
			} else {
				p.orders = append(p.orders, o)
			}
		}
	}
	slices.SortStableFunc(p.orders, func(a, b order) int { return sqlbranch.CompareStmts(a.stmt, b.stmt) })
	p.orders = append(p.orders, ordered...)
	for _, o := range p.orders {
		p.steps = append(p.steps, step{o.stmt.Query, o.stmt.Args})
	}
}

// rowsMatch reports whether each barrier statement affected all of its rows.
func (p *plan) rowsMatch(counts []int64) bool {
	for _, r := range p.rows {
		if counts[r.step] != r.want {
			return false
		}
	}
	return true
}

// judge compares the rows affected with those declared. It takes note of the
// Trys that can be rejected where they are, because nothing of another would be
// undone with them, and returns the other shares that must run alone.
func (p *plan) judge(counts []int64) (special []*share) {
	for i, o := range p.orders {
		n := counts[p.business+i]
		nothing := n == 0 && len(o.share.Stmts) == 1 && o.share.Call.Branch.Phase == tcc.Try
		switch {
		case n == o.stmt.Rows:
		case n < o.stmt.Rows && (nothing || p.lone() && p.saved):
			if len(p.rejected) == 0 || !p.lone() {
				p.rejected = append(p.rejected, &refusal{share: o.share, stmt: o.stmt})
			}
		case !slices.Contains(special, o.share):
			special = append(special, o.share)
		}
	}
	return special
}

// readOnly makes the transaction such that what an Otherwise may write in
// spite of everything (a stored function can) is undone at the end, and what a
// lone Try did is undone before it reads.
func (p *plan) readOnly(ctx context.Context, l *sqlbranch.Lease) error {
	if p.read {
		return nil
	}
	mark := step{query: savepoint}
	if p.saved {
		mark = step{query: undo}
	}
	if _, err := trip(ctx, l, true, []step{mark}); err != nil {
		return err
	}
	p.saved, p.read = true, true
	return nil
}

// committed are the shares that were not rejected.
func (p *plan) committed() []*share {
	if len(p.rejected) == 0 {
		return p.shares
	}
	return slices.DeleteFunc(slices.Clone(p.shares), func(sh *share) bool {
		return slices.ContainsFunc(p.rejected, func(f *refusal) bool { return f.share == sh })
	})
}

// ending returns the second round trip: the rejections' marks and COMMIT.
func (p *plan) ending() ([]step, error) {
	steps := make([]step, 0, 2+len(p.rejected))
	if p.saved && len(p.rejected) > 0 {
		steps = append(steps, step{query: undo})
	}
	for _, f := range p.rejected {
		reason, err := sqlbranch.EncodeRejection(f.rejection)
		if err != nil {
			return nil, fmt.Errorf("barrier/mysql: %w", err)
		}
		b := f.share.Call.Branch
		steps = append(steps, step{updateRejected, []any{reason, b.GID, b.ID}})
	}
	return append(steps, step{query: commit}), nil
}
