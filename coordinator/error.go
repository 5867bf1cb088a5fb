package coordinator

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

// ErrNotFound is wrapped by [Client.Query]'s error when the coordinator knows
// no transaction of that gid: it never began, or DTM has deleted it, which it
// does some time after the end.
var ErrNotFound = errors.New("the coordinator knows no such transaction")

// ErrGIDUsed is wrapped by [Client.Begin]'s error when the gid was given by
// [WithGID] and a transaction of that gid has already been decided.
var ErrGIDUsed = errors.New("the gid was used before")

// RejectedError says that a participant's business refused its Try. The transaction is
// aborted and nothing has changed. It unwraps to the *[tcc.Rejection].
type RejectedError struct {
	GID       string
	BranchID  string
	Method    string // the full method of the Try
	Rejection *tcc.Rejection
}

func (e *RejectedError) Error() string {
	return "transaction " + e.GID + ": " + e.why()
}

// why is the text without the gid, for where that is known.
func (e *RejectedError) why() string {
	return fmt.Sprintf("%s (branch %s) %s", e.Method, e.BranchID, e.Rejection)
}

// Unwrap returns the rejection.
func (e *RejectedError) Unwrap() error { return e.Rejection }

// GRPCStatus is FailedPrecondition with the rejection's reason and metadata
// as an ErrorInfo. It is not Aborted, which clients retry.
func (e *RejectedError) GRPCStatus() *status.Status {
	r := e.Rejection.Fit()
	msg := r.Message
	if msg == "" {
		msg = r.Reason
	}
	return withInfo(status.New(codes.FailedPrecondition, msg), r.Reason, r.Metadata)
}

// AbortedError says that the transaction ended without a business reason: its
// time ran out, a Try failed, the initiator gave up. It is not and never will
// be committed; what its Trys reserved is given back, now or when the
// coordinator can. The same work may be tried again under a new gid.
type AbortedError struct {
	GID string
	// BranchID and Method name the branch that failed, empty if none did.
	BranchID string
	Method   string
	// Err is why: the error of a Try, a context's error, or what the function
	// given to Run returned.
	Err error
}

func (e *AbortedError) Error() string {
	return "transaction " + e.GID + " aborted: " + e.why()
}

func (e *AbortedError) why() string {
	if e.BranchID == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s (branch %s): %s", e.Method, e.BranchID, e.Err)
}

// Unwrap returns Err.
func (e *AbortedError) Unwrap() error { return e.Err }

// GRPCStatus is DeadlineExceeded or Canceled when a context ended,
// Unavailable when the cause passes, otherwise Internal.
func (e *AbortedError) GRPCStatus() *status.Status {
	code := codes.Internal
	switch {
	case errors.Is(e.Err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(e.Err, context.Canceled):
		code = codes.Canceled
	case errors.Is(e.Err, tcc.ErrInvalid):
		return status.New(codes.InvalidArgument, e.Err.Error())
	case errors.Is(e.Err, tcc.ErrUnavailable):
		code = codes.Unavailable
	default:
		switch status.Code(e.Err) {
		case codes.Unavailable, codes.Aborted:
			code = codes.Unavailable
		case codes.DeadlineExceeded:
			code = codes.DeadlineExceeded
		}
	}
	return status.Newf(code, "transaction %s was aborted, nothing has changed", e.GID)
}

// UnknownError says that it could not be found out whether the transaction
// was committed: the coordinator took the Submit, or not, and then could not
// be asked within the settle timeout. [Client.Query] or [Client.Settle] tells
// when it is back. Until then the work must not be repeated under a new gid.
type UnknownError struct {
	GID string
	Err error // why it could not be found out
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("transaction %s: it is not known whether it was committed, query it before doing the same again: %s", e.GID, e.Err)
}

// Unwrap returns Err.
func (e *UnknownError) Unwrap() error { return e.Err }

// GRPCStatus is Unknown, which clients do not retry.
func (e *UnknownError) GRPCStatus() *status.Status {
	return status.Newf(codes.Unknown, "transaction %s: it is not known whether it was committed", e.GID)
}

// UnavailableError says that the coordinator could not begin a transaction, or
// could not be asked. No Try was called and nothing has changed; asking again
// is safe. GID is empty if it was asked about no single transaction. It wraps
// [tcc.ErrUnavailable].
type UnavailableError struct {
	GID string
	Err error // what the coordinator, or the way to it, answered
}

func (e *UnavailableError) Error() string {
	if e.GID == "" {
		return fmt.Sprintf("the coordinator is not available: %s", e.Err)
	}
	return fmt.Sprintf("transaction %s: the coordinator is not available: %s", e.GID, e.Err)
}

// Unwrap returns Err and [tcc.ErrUnavailable].
func (e *UnavailableError) Unwrap() []error { return []error{tcc.ErrUnavailable, e.Err} }

// GRPCStatus is DeadlineExceeded or Canceled when the caller's context ended,
// otherwise Unavailable.
func (e *UnavailableError) GRPCStatus() *status.Status {
	code := codes.Unavailable
	switch {
	case errors.Is(e.Err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(e.Err, context.Canceled):
		code = codes.Canceled
	}
	return status.New(code, "the transaction coordinator is not available")
}

// reasonOf is the reason that is stored with a transaction that err aborts.
func reasonOf(err error) string {
	var e interface{ why() string }
	if errors.As(err, &e) {
		return e.why()
	}
	return err.Error()
}

// withInfo adds an ErrorInfo of [tcc.Domain]; a status that cannot take it
// goes without.
func withInfo(s *status.Status, reason string, metadata map[string]string) *status.Status {
	d, err := s.WithDetails(&errdetails.ErrorInfo{Domain: tcc.Domain, Reason: reason, Metadata: metadata})
	if err != nil {
		return s
	}
	return d
}
