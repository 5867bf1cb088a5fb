package barrier

import (
	"context"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// Coordinator is what a [Resolver] needs of the coordinator. Package barrier
// knows none; the program connects the two. It must be safe for concurrent use.
type Coordinator interface {
	// Look asks what the coordinator knows of a global transaction. One that
	// it does not know is no error but [Forgotten]; an error means that there
	// was no answer.
	Look(ctx context.Context, gid string) (View, error)
	// RetryNow has the coordinator try now what it would try again only after
	// a wait of at least later, at most limit transactions, soonest first if it
	// can. It returns how many those are.
	RetryNow(ctx context.Context, later time.Duration, limit int) (int, error)
}

// View is what a coordinator knows of one global transaction.
type View struct {
	// Verdict is what follows for a branch that is still TRIED.
	Verdict Verdict
	// Status is the coordinator's own word, such as "submitted". Empty if it
	// knows nothing.
	Status string
	// LastTried is when it last did something about the transaction, and
	// NextRetry when it will by itself. Zero if it does not say.
	LastTried, NextRetry time.Time
	// RetryInterval is the time after which it tries again after a failure;
	// it grows with each.
	RetryInterval time.Duration
	// NextBranch is the id of the branch that it calls next, for which the
	// others wait. Empty if it does not say.
	NextBranch string
}

// Verdict is what a coordinator's answer means for a branch that is TRIED.
type Verdict uint8

// The verdicts.
const (
	// Away: the coordinator gave no answer.
	Away Verdict = iota
	// InProgress: it is not decided, or the coordinator is still calling the
	// branches.
	InProgress
	// Committed: the coordinator has committed and calls nobody any more.
	Committed
	// Aborted: the coordinator has aborted and calls nobody any more.
	Aborted
	// Forgotten: the coordinator knows no such transaction.
	Forgotten
	// Contradictory: the coordinator ended it one way after branches had been
	// finished the other way, as a force stop in the middle of confirming
	// does. A [Resolver] finds the same where a branch of its database ended
	// the other way, or a person has decided so and it is not done yet. Only a
	// person can tell what is right.
	Contradictory
)

// verdicts are all of them, for metrics.
func verdicts() []Verdict {
	return []Verdict{Away, InProgress, Committed, Aborted, Forgotten, Contradictory}
}

// String returns the verdict in the words of docs/operations.md, which are also
// the values of the metric attribute "verdict".
func (v Verdict) String() string {
	switch v {
	case InProgress:
		return "in_progress"
	case Committed:
		return "committed"
	case Aborted:
		return "aborted"
	case Forgotten:
		return "forgotten"
	case Contradictory:
		return "contradictory"
	default:
		return "coordinator_away"
	}
}

// phase returns what a branch that is TRIED gets, and false if that is not for
// a resolver to say.
func (v Verdict) phase() (tcc.Phase, bool) {
	switch v {
	case Committed:
		return tcc.Confirm, true
	case Aborted:
		return tcc.Cancel, true
	default:
		return 0, false
	}
}
