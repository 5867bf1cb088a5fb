package tcc

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// statusFor maps a handler's error in a phase to what goes on the wire, and
// to the outcome if the barrier has not recorded one. The codes are those
// that DTM acts on; see the table in docs/guarantees.md.
func statusFor(phase Phase, err error) (*status.Status, Outcome) {
	var rejection *Rejection
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict):
		return withInfo(status.New(codes.Internal, conflict.Error()), ReasonConflict, map[string]string{"state": conflict.State}), Conflict
	case errors.As(err, &rejection):
		if phase != Try {
			// A business no is not possible any more: DTM would ask for ever.
			return status.New(codes.Internal, phase.String()+" was rejected by the business, which only a try may be"), Failed
		}
		return rejection.status(), Rejected
	case errors.Is(err, ErrPending):
		return withInfo(status.New(codes.FailedPrecondition, err.Error()), ReasonPending, nil), StillWorking
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrNoBranch):
		return status.New(codes.InvalidArgument, err.Error()), Invalid
	case errors.Is(err, ErrUnavailable):
		return status.New(codes.Unavailable, ErrUnavailable.Error()), Unavailable
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the call's time ran out"), Unavailable
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the caller went away"), Unavailable
	}
	if s, ok := status.FromError(err); ok {
		return sanitise(s)
	}
	return status.New(codes.Internal, "internal error"), Failed
}

// sanitise lets a handler's own status pass unless its code would make the
// coordinator act: Aborted and FailedPrecondition often come from a
// downstream call that knows nothing of this transaction.
func sanitise(s *status.Status) (*status.Status, Outcome) {
	switch s.Code() {
	case codes.OK:
		return status.New(codes.Internal, "internal error"), Failed
	case codes.Aborted, codes.FailedPrecondition:
		return status.Newf(codes.Internal, "a downstream call answered %s; only tcc.Reject and tcc.Pending may say that of a branch", s.Code()), Failed
	case codes.Unavailable, codes.ResourceExhausted:
		return status.New(codes.Unavailable, s.Message()), Unavailable
	case codes.InvalidArgument, codes.Unimplemented, codes.PermissionDenied, codes.Unauthenticated, codes.NotFound:
		return s, Invalid
	default:
		return s, Failed
	}
}

func (r *Rejection) status() *status.Status {
	f := r.Fit()
	msg := f.Message
	if msg == "" {
		msg = f.Reason
	}
	return withInfo(status.New(codes.Aborted, msg), f.Reason, f.Metadata)
}

// withInfo adds an ErrorInfo of [Domain]. Adding a detail to a status that is
// not OK cannot fail for a message that can be marshalled; if it does, the
// status goes without.
func withInfo(s *status.Status, reason string, metadata map[string]string) *status.Status {
	d, err := s.WithDetails(&errdetails.ErrorInfo{Domain: Domain, Reason: reason, Metadata: metadata})
	if err != nil {
		return s
	}
	return d
}

// RejectionFrom returns the rejection that a Try's error carries: err itself,
// or an Aborted status. A status without an ErrorInfo of [Domain], from a
// participant that is not built with tcckit, gives the reason "ABORTED" and
// the status' message. It reports false for every other error.
func RejectionFrom(err error) (*Rejection, bool) {
	var r *Rejection
	if errors.As(err, &r) {
		return r, true
	}
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.Aborted {
		return nil, false
	}
	r = &Rejection{Reason: "ABORTED", Message: s.Message()}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			r.Reason, r.Metadata = info.GetReason(), info.GetMetadata()
			if r.Message == r.Reason {
				r.Message = ""
			}
			break
		}
	}
	return r, true
}
