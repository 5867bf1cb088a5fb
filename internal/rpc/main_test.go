package rpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accounts is a service that answers what a test wants.
type accounts struct {
	accountpb.UnimplementedAccountServiceServer
	get func(ctx context.Context) error
}

func (a *accounts) GetAccount(ctx context.Context, req *accountpb.GetAccountRequest) (*accountpb.GetAccountResponse, error) {
	if a.get != nil {
		if err := a.get(ctx); err != nil {
			return nil, err
		}
	}
	return &accountpb.GetAccountResponse{Account: &accountpb.Account{AccountId: req.GetAccountId()}}, nil
}

func (a *accounts) Deposit(context.Context, *accountpb.DepositRequest) (*accountpb.DepositResponse, error) {
	return &accountpb.DepositResponse{}, nil
}

func (a *accounts) TryDebit(context.Context, *accountpb.DebitRequest) (*accountpb.TryDebitResponse, error) {
	return &accountpb.TryDebitResponse{}, nil
}

func (a *accounts) CancelDebit(context.Context, *accountpb.DebitRequest) (*accountpb.CancelDebitResponse, error) {
	return &accountpb.CancelDebitResponse{}, nil
}

func (a *accounts) ConfirmDebit(context.Context, *accountpb.DebitRequest) (*accountpb.ConfirmDebitResponse, error) {
	return &accountpb.ConfirmDebitResponse{}, nil
}

// served is a server that runs.
type served struct {
	server *rpc.Server
	addr   string
	conn   *grpc.ClientConn // without TLS
	// stop ends it and returns what Serve did; it may be called again.
	stop func() error
}

// serve serves accounts until the test ends.
func serve(t *testing.T, cfg rpc.ServerConfig, drain time.Duration, impl *accounts) *served {
	t.Helper()
	cfg.Logger = databasetest.Logger(t)
	server, err := rpc.NewServer(cfg)
	require.NoError(t, err)
	accountpb.RegisterAccountServiceServer(server, impl)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var result error
	go func() {
		defer close(done)
		result = rpc.Serve(ctx, drain, rpc.Binding{Server: server, Listener: l})
	}()
	s := &served{server: server, addr: l.Addr().String(), stop: func() error { cancel(); <-done; return result }}
	t.Cleanup(func() { _ = s.stop() })
	s.conn, err = rpc.Dial(s.addr, rpc.DialConfig{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.conn.Close()) })
	return s
}

func requireStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	require.ErrorContains(t, err, text)
}
