package rpc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
)

func TestUndecodableRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, rpc.ServerConfig{}, time.Second, &accounts{})
	for name, request := range map[string][]byte{
		"not UTF-8": {0x0a, 0x02, 0xff, 0xfe},
		"cut short": {0x0a, 0x20, 'a'},
		"garbage":   {0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.conn.Invoke(t.Context(), accountpb.AccountService_GetAccount_FullMethodName, request, nil, grpc.ForceCodec(rpctest.Bytes{}))
			requireStatus(t, err, codes.InvalidArgument, "the request cannot be decoded")
		})
	}
	require.NoError(t, s.conn.Invoke(t.Context(), accountpb.AccountService_GetAccount_FullMethodName, []byte{0x0a, 0x01, 'a'}, nil, grpc.ForceCodec(rpctest.Bytes{})))
}
