package rpc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/certs/certstest"
	"github.com/tcckit/tcckit/internal/rpc"
)

// A list of addresses is called in turn, each by the name in its own certificate, and goes on when one ends.
func TestReplicas(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t)
	var calls [2]atomic.Int64
	var replicas [2]*served
	for i := range replicas {
		replicas[i] = serve(t, rpc.ServerConfig{Credentials: ca.Source(t, "account").Server()}, time.Second,
			&accounts{get: func(context.Context) error { calls[i].Add(1); return nil }})
	}
	conn := dialWith(t, replicas[0].addr+","+replicas[1].addr, rpc.DialConfig{Credentials: ca.Source(t, "order").Client()})
	get := func() {
		_, err := accountpb.NewAccountServiceClient(conn).GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { get(); return calls[0].Load() > 0 && calls[1].Load() > 0 }, time.Minute, time.Millisecond)
	require.NoError(t, replicas[0].stop())
	for range 100 {
		get()
	}
}
