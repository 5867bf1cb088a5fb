// Package dtmview tells the barrier what the coordinator knows. It is where the two meet: neither imports
// the other.
package dtmview

import (
	"context"
	"errors"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// Coordinator is a barrier.Coordinator on a client of DTM.
type Coordinator struct{ client *coordinator.Client }

var _ barrier.Coordinator = (*Coordinator)(nil)

// New returns what the client's DTM server knows.
func New(client *coordinator.Client) *Coordinator { return &Coordinator{client: client} }

// Look implements barrier.Coordinator.
func (c *Coordinator) Look(ctx context.Context, gid string) (barrier.View, error) {
	info, err := c.client.Query(ctx, gid)
	if errors.Is(err, coordinator.ErrNotFound) {
		return barrier.View{Verdict: barrier.Forgotten}, nil
	}
	if err != nil {
		return barrier.View{}, err
	}
	view := barrier.View{
		Verdict: verdict(info), Status: string(info.Status),
		LastTried: info.Updated, NextRetry: info.NextRetry, RetryInterval: info.RetryInterval,
	}
	if next, ok := info.NextCall(); ok {
		view.NextBranch = next.BranchID
	}
	return view, nil
}

// RetryNow implements barrier.Coordinator.
func (c *Coordinator) RetryNow(ctx context.Context, later time.Duration, limit int) (int, error) {
	return c.client.RetryNow(ctx, max(later, time.Second), min(limit, coordinator.MaxRetryNow))
}

func verdict(info *coordinator.Info) barrier.Verdict {
	switch info.Status {
	case coordinator.Succeeded:
		if called(info, tcc.Cancel) {
			return barrier.Contradictory
		}
		return barrier.Committed
	case coordinator.Failed:
		// A force stop marks a transaction failed whatever it was, also one that
		// was being confirmed.
		if called(info, tcc.Confirm) {
			return barrier.Contradictory
		}
		return barrier.Aborted
	default:
		return barrier.InProgress
	}
}

// called reports whether a branch has been finished by that phase.
func called(info *coordinator.Info, phase tcc.Phase) bool {
	for _, c := range info.Calls {
		if c.Phase == phase && c.Done {
			return true
		}
	}
	return false
}
