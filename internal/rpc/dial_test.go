package rpc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/rpc"
)

func TestDialRepeatsNoCall(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := serve(t, rpc.ServerConfig{}, time.Second, &accounts{get: func(context.Context) error {
		calls.Add(1)
		return status.Error(codes.Unavailable, "not now")
	}})
	_, err := accountpb.NewAccountServiceClient(s.conn).GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
	requireStatus(t, err, codes.Unavailable, "not now")
	require.Equal(t, int64(1), calls.Load())
}

func TestDialRefusesAnEmptyTarget(t *testing.T) {
	t.Parallel()
	_, err := rpc.Dial("", rpc.DialConfig{})
	require.ErrorContains(t, err, "host:port")
}
