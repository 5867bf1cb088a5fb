package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// An initiator may return an error of this package to its own caller as it is.
func TestErrorsAsStatus(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want codes.Code
	}{
		"rejected":         {&coordinator.RejectedError{Rejection: &tcc.Rejection{Reason: "NO"}}, codes.FailedPrecondition},
		"deadline":         {&coordinator.AbortedError{Err: context.DeadlineExceeded}, codes.DeadlineExceeded},
		"try's deadline":   {&coordinator.AbortedError{Err: status.Error(codes.DeadlineExceeded, "")}, codes.DeadlineExceeded},
		"canceled":         {&coordinator.AbortedError{Err: context.Canceled}, codes.Canceled},
		"invalid":          {&coordinator.AbortedError{Err: tcc.Invalidf("too large")}, codes.InvalidArgument},
		"try unavailable":  {&coordinator.AbortedError{Err: status.Error(codes.Unavailable, "")}, codes.Unavailable},
		"coordinator's":    {&coordinator.AbortedError{Err: tcc.Retry(status.Error(codes.Internal, "secret"))}, codes.Unavailable},
		"aborted before":   {&coordinator.AbortedError{Err: status.Error(codes.Aborted, "")}, codes.Unavailable},
		"try's bug":        {&coordinator.AbortedError{Err: status.Error(codes.PermissionDenied, "secret")}, codes.Internal},
		"initiator's":      {&coordinator.AbortedError{Err: errors.New("secret")}, codes.Internal},
		"unknown":          {&coordinator.UnknownError{Err: errors.New("secret")}, codes.Unknown},
		"away":             {&coordinator.UnavailableError{Err: errors.New("secret")}, codes.Unavailable},
		"away, deadline":   {&coordinator.UnavailableError{Err: context.DeadlineExceeded}, codes.DeadlineExceeded},
		"away, caller too": {&coordinator.UnavailableError{Err: context.Canceled}, codes.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{test.err, fmt.Errorf("placing the order: %w", test.err)} {
				require.Equal(t, test.want, status.Code(err))
			}
			s, _ := status.FromError(test.err)
			require.NotContains(t, s.Message(), "secret")
		})
	}
}

func TestRejectionReachesTheCaller(t *testing.T) {
	t.Parallel()
	err := &coordinator.RejectedError{GID: "g", BranchID: "02", Method: tryMethod, Rejection: &tcc.Rejection{
		Reason: "NO", Message: "not today", Metadata: map[string]string{"sku": "tea"},
	}}
	s, _ := status.FromError(err)
	require.Equal(t, "not today", s.Message())
	require.Len(t, s.Details(), 1)
	info, ok := s.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	require.Equal(t, []string{"NO", "tea", tcc.Domain}, []string{info.GetReason(), info.GetMetadata()["sku"], info.GetDomain()})
	require.ErrorContains(t, err, tryMethod)
	require.ErrorContains(t, err, "g")
}
