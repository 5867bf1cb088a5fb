package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/tcc"
)

var deposit = &accountpb.DepositRequest{RequestId: "r", AccountId: "a", Amount: &commonpb.Money{Amount: 1, Currency: "EUR"}}

func TestPublicServerServesItsMethodsOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, rpc.ServerConfig{Public: true, Methods: []string{accountpb.AccountService_GetAccount_FullMethodName}}, time.Second, &accounts{})
	client := accountpb.NewAccountServiceClient(s.conn)

	_, err := client.GetAccount(t.Context(), &accountpb.GetAccountRequest{AccountId: "a"})
	require.NoError(t, err)
	_, err = client.Deposit(t.Context(), deposit)
	requireStatus(t, err, codes.PermissionDenied, "not served on the public address")
	_, err = client.ConfirmDebit(t.Context(), &accountpb.DebitRequest{})
	requireStatus(t, err, codes.PermissionDenied, "not served on the public address")
	err = s.conn.Invoke(t.Context(), "/no.Service/Method", &accountpb.DebitRequest{}, &accountpb.DebitRequest{})
	requireStatus(t, err, codes.Unimplemented, "no.Service")

	health, err := healthpb.NewHealthClient(s.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "tcckit.account.v1.AccountService"})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health.GetStatus())
	require.Contains(t, services(t, s), "tcckit.account.v1.AccountService")
}

// services asks the server by reflection what it serves.
func services(t *testing.T, s *served) (names []string) {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}))
	resp, err := stream.Recv()
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	for _, svc := range resp.GetListServicesResponse().GetService() {
		names = append(names, svc.GetName())
	}
	return names
}

// Confirm and Cancel go without validation, so nothing else may pass for one.
func TestBranchMetadataIsRefusedWhereThereIsNoBranch(t *testing.T) {
	t.Parallel()
	branch := func(phase tcc.Phase) context.Context {
		return tcc.Outgoing(t.Context(), tcc.Branch{GID: "g", ID: "01", Phase: phase}, "")
	}
	t.Run("public", func(t *testing.T) {
		t.Parallel()
		s := serve(t, rpc.ServerConfig{Public: true, Methods: []string{accountpb.AccountService_GetAccount_FullMethodName}}, time.Second, &accounts{})
		_, err := accountpb.NewAccountServiceClient(s.conn).GetAccount(branch(tcc.Confirm), &accountpb.GetAccountRequest{AccountId: "a"})
		requireStatus(t, err, codes.PermissionDenied, "branches are not served on the public address")
		_, err = accountpb.NewAccountServiceClient(s.conn).GetAccount(metadata.AppendToOutgoingContext(t.Context(), "dtm-op", "confirm"), &accountpb.GetAccountRequest{AccountId: "a"})
		requireStatus(t, err, codes.PermissionDenied, "branches are not served on the public address")
	})
	t.Run("internal", func(t *testing.T) {
		t.Parallel()
		s := serve(t, rpc.ServerConfig{}, time.Second, &accounts{})
		client := accountpb.NewAccountServiceClient(s.conn)
		_, err := client.Deposit(branch(tcc.Confirm), &accountpb.DepositRequest{Amount: &commonpb.Money{Amount: -1}})
		requireStatus(t, err, codes.InvalidArgument, "Deposit is no branch")
		_, err = client.ConfirmDebit(branch(tcc.Confirm), &accountpb.DebitRequest{})
		require.NoError(t, err, "a Confirm is not validated")
		_, err = client.Deposit(t.Context(), &accountpb.DepositRequest{Amount: &commonpb.Money{Amount: -1}})
		requireStatus(t, err, codes.InvalidArgument, "amount must be positive")
	})
}

func TestMethodsAreForAPublicServer(t *testing.T) {
	t.Parallel()
	_, err := rpc.NewServer(rpc.ServerConfig{Methods: []string{"/a.B/C"}})
	require.Error(t, err)
}
