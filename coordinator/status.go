package coordinator

import (
	"time"

	"github.com/tcckit/tcckit/tcc"
)

// Status is where a transaction stands, in DTM's words.
type Status string

// The statuses of a transaction.
const (
	// Prepared: begun and not decided.
	Prepared Status = "prepared"
	// Submitted: committed; not every Confirm has succeeded yet.
	Submitted Status = "submitted"
	// Succeeded: committed, every Confirm has succeeded.
	Succeeded Status = "succeed"
	// Aborting: aborted; not every Cancel has succeeded yet.
	Aborting Status = "aborting"
	// Failed: aborted, every Cancel has succeeded.
	Failed Status = "failed"
)

// Committed reports whether the decision is to commit.
func (s Status) Committed() bool { return s == Submitted || s == Succeeded }

// Aborted reports whether the decision is to abort.
func (s Status) Aborted() bool { return s == Aborting || s == Failed }

// Finished reports whether nothing is left to do.
func (s Status) Finished() bool { return s == Succeeded || s == Failed }

// Info is what the coordinator knows of a transaction. Times have a resolution
// of one second where DTM's store is SQL, and are zero where DTM has none.
type Info struct {
	GID    string
	Status Status
	// Type is DTM's transaction type, "tcc" for those of this package.
	Type string
	// Reason is why it was aborted, as given to Abort or by DTM itself.
	Reason string
	// Created is when it began; on DTM's stores other than SQL, when it was
	// submitted.
	Created time.Time
	Updated time.Time
	// Finished is when the last Confirm or Cancel succeeded.
	Finished time.Time
	// NextRetry is when DTM looks at it next, and RetryInterval after what
	// time then; both grow with each failure. They mean nothing once it is
	// finished.
	NextRetry     time.Time
	RetryInterval time.Duration
	// Calls lists what DTM has to call, in order of registration: a Cancel
	// and a Confirm for each branch, of which only one kind is ever called.
	Calls []Call
}

// Call is one Confirm or Cancel that the coordinator makes if so decided.
type Call struct {
	BranchID string
	Phase    tcc.Phase
	Target   string // host:port
	Method   string // full method
	// Done reports whether the participant has answered it with success.
	Done bool
	// At is when it was done, zero if it was not.
	At time.Time
	// Payload is the encoded request.
	Payload []byte
}
