package tcc

import (
	"errors"
	"fmt"
)

// Domain is the domain of every ErrorInfo that tcckit puts into a status.
const Domain = "tcckit"

// The reasons that the framework itself gives in an ErrorInfo.
const (
	// ReasonLateTry: the Try arrived after the branch was cancelled.
	ReasonLateTry = "LATE_TRY"
	// ReasonConflict: the delivery contradicts an earlier decision.
	ReasonConflict = "CONFLICT"
	// ReasonPending: see [Pending].
	ReasonPending = "PENDING"
)

// ErrPending says that the participant is still working on the branch and
// wants to be asked again after the same interval. Make one with [Pending].
var ErrPending = errors.New("still working")

// Pending returns an error that wraps [ErrPending]. A handler returns it when
// the branch is neither done nor refused: it becomes FailedPrecondition, and
// the coordinator asks again without growing its interval.
func Pending(msg string) error { return fmt.Errorf("%w: %s", ErrPending, msg) }

// ErrUnavailable says that nothing happened for a reason that passes: a
// deadlock, a lock wait, the database away, overload. Asking again is safe.
// Make one with [Retry].
var ErrUnavailable = errors.New("temporarily unavailable")

// Retry returns an error that wraps both [ErrUnavailable] and err. It becomes
// the gRPC code Unavailable; err's text goes to the log only.
func Retry(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// ErrInvalid says that the request can never succeed as it is. Make one with
// [Invalidf].
var ErrInvalid = errors.New("invalid request")

// Invalidf returns an error that wraps [ErrInvalid]. It becomes the gRPC code
// InvalidArgument with the formatted text, so the text must be fit for the
// caller's eyes.
func Invalidf(format string, args ...any) error {
	return &invalidError{msg: fmt.Sprintf(format, args...)}
}

type invalidError struct{ msg string }

func (e *invalidError) Error() string { return e.msg }
func (e *invalidError) Unwrap() error { return ErrInvalid }

// ConflictError says that a delivery contradicts what was decided before:
// the coordinator, a person or a bug sent a Confirm after a Cancel, a Cancel
// after a Confirm, or a Confirm without a Try. Nothing was changed. It becomes
// the gRPC code Internal and never heals by itself.
type ConflictError struct {
	Branch Branch
	// State is the state of the barrier row that refuses the delivery, in
	// the words of package barrier ("CONFIRMED", ...), or "NONE".
	State string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("conflict: %s of branch %s of %s, which is %s", e.Branch.Phase, e.Branch.ID, e.Branch.GID, e.State)
}
