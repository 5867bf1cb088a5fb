package cart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/cart"
)

func TestMain(m *testing.M) {
	// RocketMQ's client starts it when it is imported, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// bundle is the service behind a real server, and a client of it.
type bundle struct {
	pb.CartServiceClient
	t       *testing.T
	db      *database.DB
	conn    *grpc.ClientConn
	service *cart.Service
}

// each runs a test of the service on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	databasetest.Each(t, cart.Migrations(), func(t *testing.T, db *database.DB) {
		service, err := cart.New(cart.Config{DB: db})
		require.NoError(t, err)
		l := rpctest.Listener(t)
		rpctest.Serve(t, l, rpc.ServerConfig{Public: true, Methods: cart.PublicMethods(), Logger: databasetest.Logger(t)}, service.Register)
		conn := rpctest.Dial(t, l.Addr().String())
		test(t, &bundle{CartServiceClient: pb.NewCartServiceClient(conn), t: t, db: db, conn: conn, service: service})
	})
}

// add puts a line in and returns its id.
func (b *bundle) add(account, request string) (line string) {
	b.t.Helper()
	resp, err := b.AddItem(b.t.Context(), &pb.AddItemRequest{RequestId: request, AccountId: account, Sku: "apple", Quantity: 2})
	require.NoError(b.t, err)
	return resp.GetLine().GetLineId()
}

// lines are the ids of an account's lines.
func (b *bundle) lines(account string) []string {
	b.t.Helper()
	resp, err := b.GetCart(b.t.Context(), &pb.GetCartRequest{AccountId: account})
	require.NoError(b.t, err)
	ids := []string{}
	for _, line := range resp.GetLines() {
		ids = append(ids, line.GetLineId())
	}
	return ids
}
