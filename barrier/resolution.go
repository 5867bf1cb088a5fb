package barrier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// Basis is on whose authority a branch was resolved.
type Basis string

// The bases.
const (
	// ByCoordinator: the coordinator had decided, and a [Resolver] followed.
	ByCoordinator Basis = "coordinator"
	// ByOperator: a person decided.
	ByOperator Basis = "operator"
)

// Resolution is the record of one decision to finish a branch in the
// coordinator's place. It is written before the act and completed after it, so
// that what was begun and not completed shows; the same decision made again
// goes on with the same record.
type Resolution struct {
	GID      string
	BranchID string
	// Phase is what was decided: tcc.Confirm or tcc.Cancel.
	Phase tcc.Phase
	Basis Basis
	// By is who decided, or which resolver followed the coordinator.
	By     string
	Reason string
	// Method is the full method that was called.
	Method string
	// Before is the state of the barrier row when the decision was made,
	// After that in which it ended; None as long as that is not known.
	Before State
	After  State
	// Attempts counts how often it was begun.
	Attempts int
	// Err is what the last attempt met, empty if nothing.
	Err string
	// Started is when it was first begun, Attempted when last, and Finished
	// when it was complete, zero as long as it is not.
	Started   time.Time
	Attempted time.Time
	Finished  time.Time
}

// Limits of what is recorded, in bytes. What is longer is cut.
const (
	MaxResolutionBy     = 255
	MaxResolutionReason = 4096
)

// Open reports whether the record is not completed: the decision was made, and
// whether it took effect was not written down.
func (r Resolution) Open() bool { return r.Finished.IsZero() }

// ID tells the decisions about one branch apart: who decided what, and why.
// The same decision has the same id, the zero value none.
func (r Resolution) ID() string {
	if r.GID == "" {
		return ""
	}
	h := sha256.New()
	for _, part := range [...]string{r.Phase.String(), string(r.Basis), r.By, r.Reason} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Validate cuts what is too long and refuses what is missing. Stores call it.
func (r *Resolution) Validate() error {
	r.By, r.Reason = cut(r.By, MaxResolutionBy), cut(r.Reason, MaxResolutionReason)
	r.Err, r.Method = cut(r.Err, MaxResolutionReason), cut(r.Method, 255)
	b := tcc.Branch{GID: r.GID, ID: r.BranchID, Phase: r.Phase}
	switch err := b.Validate(); {
	case err != nil:
		return fmt.Errorf("barrier: resolution: %w", err)
	case r.Phase == tcc.Try:
		return errors.New("barrier: resolution: a branch is resolved by confirm or cancel")
	case r.Basis != ByCoordinator && r.Basis != ByOperator:
		return fmt.Errorf("barrier: resolution: unknown basis %q", r.Basis)
	case r.By == "":
		return errors.New("barrier: resolution: it does not say who decided")
	case r.Reason == "":
		return errors.New("barrier: resolution: it does not say why")
	}
	return nil
}

// cut shortens s to n bytes at the end of a character, of valid UTF-8.
func cut(s string, n int) string {
	out := make([]rune, 0, min(len(s), n))
	for _, r := range s {
		if n -= len(string(r)); n < 0 {
			break
		}
		out = append(out, r)
	}
	return string(out)
}

// Branch is a branch's barrier row.
type Branch struct {
	StuckBranch
	// State is that of the row, None if there is none.
	State State
	// Rejection is why it was refused, if State is Rejected.
	Rejection *tcc.Rejection
}

// ResolutionStore is what a [Resolver] needs of a store. Both SQL stores
// implement it on a database in which ResolutionSchema of their package has been
// run; it is safe for concurrent use, also by several processes.
type ResolutionStore interface {
	// Stuck is that of [Store].
	Stuck(ctx context.Context, opts StuckOptions) ([]StuckBranch, error)
	// Branches returns the rows of a global transaction, in order of branch
	// id.
	Branches(ctx context.Context, gid string) ([]Branch, error)
	// BeginResolution writes a decision down, durably, before it is acted
	// upon. One that is there and open counts another attempt.
	BeginResolution(ctx context.Context, r Resolution) error
	// EndResolution notes how the last attempt ended: in which state the row
	// was then, and what was met. The record is complete if the row's state is
	// terminal or the row is gone; a complete one is not changed any more.
	EndResolution(ctx context.Context, r Resolution) error
	// Resolutions returns what has been recorded, in order of the primary key.
	Resolutions(ctx context.Context, opts ResolutionsOptions) ([]Resolution, error)
}

// ResolutionsOptions says which records to list.
type ResolutionsOptions struct {
	// GID, if it is not empty, is the global transaction of interest.
	GID string
	// OpenOnly leaves out what is complete.
	OpenOnly bool
	// Limit is the most records to return. Zero means 100.
	Limit int
	// After is the record after which to go on, the zero value to begin.
	After Resolution
}

// SetDefaults fills in what is zero and refuses what makes no sense. Stores call
// it.
func (o *ResolutionsOptions) SetDefaults() error {
	if o.Limit == 0 {
		o.Limit = 100
	}
	if o.Limit < 1 {
		return fmt.Errorf("barrier: a limit of %d", o.Limit)
	}
	return nil
}
