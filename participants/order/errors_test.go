package order

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/tcc"
)

// What PlaceOrder's callers see. Never Aborted, which clients repeat.
func TestEdge(t *testing.T) {
	t.Parallel()
	cause := status.Error(codes.Aborted, "x")
	for _, c := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{&rejectedError{&tcc.Rejection{Reason: "NO"}}, codes.FailedPrecondition, "NO"},
		{&notMadeError{passes: true, cause: cause}, codes.Unavailable, "NOT_MADE"},
		{&notMadeError{cause: cause}, codes.Internal, "NOT_MADE"},
		{fmt.Errorf("wrapped: %w", errReused), codes.AlreadyExists, "REQUEST_ID_REUSED"},
	} {
		rpctest.RequireStatus(t, edge(c.err, "r"), c.code, c.reason)
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	r := &tcc.Rejection{Reason: "NO", Metadata: map[string]string{"sku": "a"}}
	require.Equal(t, map[string]string{"sku": "a", "service": "stock", "gid": "g"}, from(r, "stock", "g").Metadata)
	require.Equal(t, map[string]string{"sku": "a"}, r.Metadata, "the rejection itself is not changed")
	require.Equal(t, map[string]string{"service": "stock", "gid": "g"}, from(&tcc.Rejection{Reason: "NO"}, "stock", "g").Metadata)
}

func TestFailed(t *testing.T) {
	t.Parallel()
	c := &call{Service: &Service{cfg: Config{}}}
	c.cfg.setDefaults()
	for _, test := range []struct {
		err    error
		passes bool
	}{
		{&coordinator.UnavailableError{Err: errors.New("x")}, true},
		{&coordinator.AbortedError{Err: context.DeadlineExceeded}, true},
		{&coordinator.AbortedError{Err: context.Canceled}, true},
		{&coordinator.AbortedError{BranchID: "stock", Err: status.Error(codes.Unavailable, "x")}, true},
		{&coordinator.AbortedError{BranchID: "stock", Err: status.Error(codes.Internal, "x")}, false},
		{&coordinator.AbortedError{BranchID: "stock", Err: status.Error(codes.PermissionDenied, "x")}, false},
		{&coordinator.AbortedError{Err: tcc.Invalidf("x")}, false},
		{coordinator.ErrGIDUsed, false},
	} {
		var notMade *notMadeError
		require.ErrorAs(t, c.failed(t.Context(), &attempt{}, test.err), &notMade)
		require.Equal(t, test.passes, notMade.passes, "%v", test.err)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := New(Config{AnswerWait: -1})
	for _, text := range []string{"no DB", "no Coordinator", "Order.Conn", "Account.Target", "Stock.Conn", "AnswerWait"} {
		require.ErrorContains(t, err, text)
	}
}
