package stock_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/stock"
	"github.com/tcckit/tcckit/tcc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is the service behind a real server, and a client of it.
type bundle struct {
	pb.StockServiceClient
	t    *testing.T
	db   *database.DB
	conn *grpc.ClientConn
}

// each runs a test of the service on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	databasetest.Each(t, stock.Migrations(), func(t *testing.T, db *database.DB) {
		service, err := stock.New(stock.Config{DB: db})
		require.NoError(t, err)
		l := rpctest.Listener(t)
		rpctest.Serve(t, l, rpc.ServerConfig{Logger: databasetest.Logger(t)}, service.Register)
		conn := rpctest.Dial(t, l.Addr().String())
		test(t, &bundle{StockServiceClient: pb.NewStockServiceClient(conn), t: t, db: db, conn: conn})
	})
}

func eur(n int64) *commonpb.Money { return &commonpb.Money{Amount: n, Currency: "EUR"} }

// put puts n pieces of an item in at a price in EUR.
func (b *bundle) put(sku string, n, price int64) {
	b.t.Helper()
	_, err := b.PutItem(b.t.Context(), &pb.PutItemRequest{RequestId: uuid.NewString(), Sku: sku, Add: n, Price: eur(price)})
	require.NoError(b.t, err)
}

// requireCounts requires how many pieces of an item there are.
func (b *bundle) requireCounts(sku string, available, reserved, sold int64) {
	b.t.Helper()
	resp, err := b.GetItem(b.t.Context(), &pb.GetItemRequest{Sku: sku})
	require.NoError(b.t, err)
	item := resp.GetItem()
	require.Equal(b.t, [3]int64{available, reserved, sold}, [3]int64{item.GetAvailable(), item.GetReserved(), item.GetSold()}, "available, reserved, sold of %s", sku)
}

// line is n pieces at a price in EUR.
func line(sku string, n, price int64) *pb.ReserveLine {
	return &pb.ReserveLine{Sku: sku, Quantity: n, Price: eur(price)}
}

func reserve(lines ...*pb.ReserveLine) *pb.ReserveRequest { return &pb.ReserveRequest{Lines: lines} }

// branch is one branch of a new global transaction.
func branch() tcc.Branch { return tcc.Branch{GID: uuid.NewString(), ID: "stock"} }

// in returns a context for a delivery of br.
func (b *bundle) in(br tcc.Branch, phase tcc.Phase) context.Context {
	br.Phase = phase
	return tcc.Outgoing(b.t.Context(), br, "")
}
