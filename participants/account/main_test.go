package account_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/account"
	"github.com/tcckit/tcckit/tcc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is the service behind a real server, and a client of it.
type bundle struct {
	pb.AccountServiceClient
	t    *testing.T
	db   *database.DB
	conn *grpc.ClientConn
}

// each runs a test of the service on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	databasetest.Each(t, account.Migrations(), func(t *testing.T, db *database.DB) {
		service, err := account.New(account.Config{DB: db})
		require.NoError(t, err)
		l := rpctest.Listener(t)
		rpctest.Serve(t, l, rpc.ServerConfig{Logger: databasetest.Logger(t)}, service.Register)
		conn := rpctest.Dial(t, l.Addr().String())
		test(t, &bundle{AccountServiceClient: pb.NewAccountServiceClient(conn), t: t, db: db, conn: conn})
	})
}

func eur(n int64) *commonpb.Money { return &commonpb.Money{Amount: n, Currency: "EUR"} }

// open opens an account in EUR with something in it.
func (b *bundle) open(id string, amount int64) {
	b.t.Helper()
	_, err := b.OpenAccount(b.t.Context(), &pb.OpenAccountRequest{RequestId: "open-" + id, AccountId: id, Currency: "EUR"})
	require.NoError(b.t, err)
	if amount > 0 {
		_, err = b.Deposit(b.t.Context(), &pb.DepositRequest{RequestId: "deposit-" + id, AccountId: id, Amount: eur(amount)})
		require.NoError(b.t, err)
	}
}

// requireSums requires what lies in an account.
func (b *bundle) requireSums(id string, available, frozen, spent int64) {
	b.t.Helper()
	resp, err := b.GetAccount(b.t.Context(), &pb.GetAccountRequest{AccountId: id})
	require.NoError(b.t, err)
	a := resp.GetAccount()
	require.Equal(b.t, [3]int64{available, frozen, spent}, [3]int64{a.GetAvailable(), a.GetFrozen(), a.GetSpent()}, "available, frozen, spent")
}

// branch is one branch of a new global transaction.
func branch() tcc.Branch { return tcc.Branch{GID: uuid.NewString(), ID: "account"} }

// in returns a context for a delivery of br.
func (b *bundle) in(br tcc.Branch, phase tcc.Phase) context.Context {
	br.Phase = phase
	return tcc.Outgoing(b.t.Context(), br, "")
}
