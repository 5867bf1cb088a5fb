package tcc

import (
	"context"
	"sync/atomic"
)

// Outcome says what became of one delivery of a branch. It is the value of
// the metric attribute "outcome" and of the log field of that name.
type Outcome string

// The outcomes.
const (
	// Done: the business ran and is committed.
	Done Outcome = "done"
	// Duplicate: the delivery had taken effect before; it got the same answer.
	Duplicate Outcome = "duplicate"
	// EmptyCancel: a Cancel whose Try never took effect. It is remembered,
	// and the business did not run.
	EmptyCancel Outcome = "empty_cancel"
	// LateTry: a Try that arrived after its Cancel and was rejected.
	LateTry Outcome = "late_try"
	// Rejected: the business said no to a Try; remembered.
	Rejected Outcome = "rejected"
	// StillWorking: the participant asked to be asked again ([Pending]).
	StillWorking Outcome = "pending"
	// Conflict: the delivery contradicts what was decided before, such as a
	// Cancel after a Confirm. It needs a person.
	Conflict Outcome = "conflict"
	// Unavailable: nothing happened, for a reason that passes.
	Unavailable Outcome = "unavailable"
	// Invalid: the request was refused before any work.
	Invalid Outcome = "invalid"
	// Failed: a bug or an unknown error. Nothing of the branch persists.
	Failed Outcome = "failed"
)

// delivery is what the context carries for one call.
type delivery struct {
	branch  Branch
	outcome atomic.Pointer[Outcome]
}

// RecordOutcome tells the interceptor what became of the delivery in ctx.
// Package barrier calls it; it has no effect on a context without a branch.
// The last call wins. It is safe for concurrent use.
func RecordOutcome(ctx context.Context, o Outcome) {
	if d, ok := ctx.Value(branchKey{}).(*delivery); ok {
		d.outcome.Store(&o)
	}
}

// OutcomeFromContext returns what [RecordOutcome] stored for the delivery in
// ctx, false if nothing was.
func OutcomeFromContext(ctx context.Context) (Outcome, bool) {
	if d, ok := ctx.Value(branchKey{}).(*delivery); ok {
		if o := d.outcome.Load(); o != nil {
			return *o, true
		}
	}
	return "", false
}
