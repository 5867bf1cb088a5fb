package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/rpc"
)

func TestBearerTokens(t *testing.T) {
	t.Parallel()
	const one, other = "0123456789abcdef", "fedcba9876543210"
	tokens, err := rpc.BearerTokens(one, other)
	require.NoError(t, err)
	called := 0
	s := serve(t, rpc.ServerConfig{Public: true, Methods: []string{accountpb.AccountService_GetAccount_FullMethodName}, Authenticate: tokens}, time.Second,
		&accounts{get: func(context.Context) error { called++; return nil }})
	client := accountpb.NewAccountServiceClient(s.conn)
	call := func(header string) error {
		ctx := t.Context()
		if header != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", header)
		}
		_, err := client.GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: "a"})
		return err
	}

	requireStatus(t, call(""), codes.Unauthenticated, "authorization: Bearer")
	requireStatus(t, call("Basic "+one), codes.Unauthenticated, "authorization: Bearer")
	requireStatus(t, call("Bearer "+one+"0"), codes.Unauthenticated, "not known")
	requireStatus(t, call("Bearer "), codes.Unauthenticated, "not known")
	require.Zero(t, called)
	require.NoError(t, call("Bearer "+one))
	require.NoError(t, call("bearer "+other))
	require.Equal(t, 2, called)

	_, err = healthpb.NewHealthClient(s.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err, "a probe has no token")
}

func TestBearerTokensRefusesWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	_, err := rpc.BearerTokens()
	require.Error(t, err)
	_, err = rpc.BearerTokens("short")
	require.Error(t, err)
}

// Who may call comes before what is called with.
func TestAuthenticationComesBeforeValidation(t *testing.T) {
	t.Parallel()
	tokens, err := rpc.BearerTokens("0123456789abcdef")
	require.NoError(t, err)
	s := serve(t, rpc.ServerConfig{Authenticate: tokens}, time.Second, &accounts{})
	_, err = accountpb.NewAccountServiceClient(s.conn).GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "not valid!"})
	requireStatus(t, err, codes.Unauthenticated, "Bearer")
}

func TestAPanicInTheAuthenticatorIsAnError(t *testing.T) {
	t.Parallel()
	s := serve(t, rpc.ServerConfig{Authenticate: func(context.Context) (context.Context, error) { panic("oh") }}, time.Second, &accounts{})
	_, err := accountpb.NewAccountServiceClient(s.conn).GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
	requireStatus(t, err, codes.Internal, "internal error")
}
