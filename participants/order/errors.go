package order

import (
	"errors"
	"maps"

	"google.golang.org/grpc/codes"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/tcc"
)

// reasonAborted is the reason of an order that was cancelled for none of
// business.
const reasonAborted = "ABORTED"

// errReused says that a request id stands for another body.
var errReused = errors.New("the request_id was used before with another body: choose a new one")

// rejectedError is the answer to a request that was rejected, for good.
type rejectedError struct{ rejection *tcc.Rejection }

func (e *rejectedError) Error() string { return e.rejection.Error() }

// notMadeError says that no order was made.
type notMadeError struct {
	why string
	// passes: sending the same again can help.
	passes bool
	cause  error
}

func (e *notMadeError) Error() string { return "no order was made: " + e.why + ": " + e.cause.Error() }
func (e *notMadeError) Unwrap() error { return e.cause }

// from adds to a rejection where it comes from.
func from(r *tcc.Rejection, service, gid string) *tcc.Rejection {
	c := *r
	c.Metadata = maps.Clone(r.Metadata)
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 2)
	}
	c.Metadata["service"], c.Metadata["gid"] = service, gid
	return c.Fit()
}

// edge turns the errors of PlaceOrder into what its callers see.
func edge(err error, requestID string) error {
	var (
		no      *rejectedError
		notMade *notMadeError
	)
	switch {
	case errors.As(err, &no):
		// Not Aborted, which clients repeat.
		r := no.rejection
		msg := r.Message
		if msg == "" {
			msg = r.Reason
		}
		return rpc.Error(codes.FailedPrecondition, r.Reason, msg, r.Metadata)
	case errors.As(err, &notMade) && notMade.passes:
		return rpc.Error(codes.Unavailable, "NOT_MADE", "no order was made, send the same again: "+notMade.why, nil)
	case errors.As(err, &notMade):
		return rpc.Error(codes.Internal, "NOT_MADE", "no order was made: "+notMade.why, nil)
	case errors.Is(err, errReused):
		return rpc.Error(codes.AlreadyExists, "REQUEST_ID_REUSED", err.Error(), map[string]string{"request_id": requestID})
	}
	return database.Transient(err)
}
