package barrier

import (
	"context"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// Limits of what is stored with a row, in bytes.
const (
	// MaxResponseLen limits a Try's response.
	MaxResponseLen = 4 << 10
	// MaxRequestLen limits a Try's request. It is what DTM's SQL store can
	// hold as a branch's payload (BLOB).
	MaxRequestLen = 64<<10 - 1
)

// DefaultRetention and MinRetention bound how long terminal rows are kept.
// A row must outlive every late delivery of its branch: tcc.MaxTryAge for a
// Try, and for the others the coordinator's memory, which is 7 days with
// DTM on Redis.
const (
	DefaultRetention = 30 * 24 * time.Hour
	MinRetention     = 8 * 24 * time.Hour
)

// Store keeps the barrier rows of one participant database. It is
// implemented by barrier/mysql and barrier/sqlite and safe for concurrent use.
type Store interface {
	// Do runs one delivery by the rules of [Decide].
	//
	// It returns an error that wraps tcc.ErrUnavailable when nothing
	// happened, or when it is not known whether the commit happened: the
	// same delivery may then be sent again. A *tcc.Rejection is returned of a
	// Try only, and only after it was committed, a *tcc.ConflictError when the row's state
	// forbids the delivery, one that wraps tcc.ErrInvalid when the request is
	// longer than [MaxRequestLen]. A response longer than [MaxResponseLen] is
	// an error of the work.
	Do(ctx context.Context, call Call, work Work) (Result, error)
	// Sweep deletes one chunk of terminal rows that are older than the
	// retention. Several sweeps at once do no harm, and one may go on where
	// another stopped.
	Sweep(ctx context.Context, opts SweepOptions) (SweepResult, error)
	// Stuck lists rows that have been TRIED for longer than a threshold.
	Stuck(ctx context.Context, opts StuckOptions) ([]StuckBranch, error)
}

// Call is one delivery as a store sees it.
type Call struct {
	Branch tcc.Branch
	// Request is a Try's request in protobuf's wire format, kept until the
	// row is terminal for repair without the coordinator. Empty in the other
	// phases.
	Request []byte
}

// Result is what became of a delivery that was not refused.
type Result struct {
	// Response is the Try's response: the work's, or the stored one if this
	// was a duplicate.
	Response []byte
	// Outcome is tcc.Done, tcc.Duplicate or tcc.EmptyCancel.
	Outcome tcc.Outcome
}

// SweepOptions says what a sweep may delete.
type SweepOptions struct {
	// Retention is the age from which terminal rows go. Zero means
	// [DefaultRetention]; less than [MinRetention] is refused.
	Retention time.Duration
	// Limit is how many rows one chunk looks at. Zero means 1000.
	Limit int
	// After is the position at which to go on: SweepResult.Next of the chunk
	// before, the zero value to begin.
	After Position
}

// Position is a place in the order of the primary key.
type Position struct {
	GID      string `json:"gid"`
	BranchID string `json:"branch_id"`
}

// SweepResult is what one chunk of a sweep did.
type SweepResult struct {
	// Scanned and Deleted count rows.
	Scanned, Deleted int64
	// Oldest is how long ago the oldest terminal row of the chunk ended,
	// before it was deleted; zero if the chunk had none. If it exceeds the
	// retention by more than the time between two sweeps, they do not keep up.
	Oldest time.Duration
	// Next is where the next chunk begins. It passes over rows that cannot be
	// old: see [SweepOptions.Beyond]. Done says that there is none.
	Next Position
	Done bool
}

// StuckOptions says which rows are stuck.
type StuckOptions struct {
	// OlderThan is the age from which a TRIED row counts as stuck. Zero
	// means one hour.
	OlderThan time.Duration
	// Limit is the most rows to return, in the order of the primary key, which
	// for our own gids is that of their begin. Zero means 100.
	Limit int
	// After is the position at which to go on: that of the last row returned
	// before, the zero value to begin.
	After Position
}

// StuckBranch is a branch whose Try succeeded and that was neither confirmed
// nor cancelled since.
type StuckBranch struct {
	GID      string    `json:"gid"`
	BranchID string    `json:"branch_id"`
	Method   string    `json:"method"`
	TriedAt  time.Time `json:"tried_at"`
	// Request is the Try's request in protobuf's wire format.
	Request []byte `json:"request"`
}

// Position returns the place of the row, for StuckOptions.After.
func (b StuckBranch) Position() Position { return Position{GID: b.GID, BranchID: b.BranchID} }

// SetDefaults fills in what is zero and refuses what would harm. Stores call
// it.
func (o *SweepOptions) SetDefaults() error {
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Retention < MinRetention {
		return fmt.Errorf("barrier: a retention of %s is refused: rows must outlive every late delivery, so at least %s", o.Retention, MinRetention)
	}
	if o.Limit == 0 {
		o.Limit = 1000
	}
	if o.Limit < 1 || o.Limit > 10000 {
		return fmt.Errorf("barrier: a sweep's limit of %d is refused: 1 to 10000", o.Limit)
	}
	return nil
}

// SetDefaults fills in what is zero and refuses what makes no sense. Stores
// call it.
func (o *StuckOptions) SetDefaults() error {
	if o.OlderThan == 0 {
		o.OlderThan = time.Hour
	}
	if o.OlderThan < 0 {
		return fmt.Errorf("barrier: a negative age of %s", o.OlderThan)
	}
	if o.Limit == 0 {
		o.Limit = 100
	}
	if o.Limit < 1 {
		return fmt.Errorf("barrier: a limit of %d", o.Limit)
	}
	return nil
}
