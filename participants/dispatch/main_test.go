package dispatch_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/dispatch"
)

func TestMain(m *testing.M) {
	// RocketMQ's client starts it when it is imported, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// bundle is the service behind a real server, a client of it, and the order
// service that it asks.
type bundle struct {
	pb.DispatchServiceClient
	t       *testing.T
	db      *database.DB
	service *dispatch.Service
	orders  *orders
}

// each runs a test of the service on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	databasetest.Each(t, dispatch.Migrations(), func(t *testing.T, db *database.DB) { test(t, serve(t, db)) })
}

func serve(t *testing.T, db *database.DB) *bundle {
	t.Helper()
	orders := newOrders(t)
	service, err := dispatch.New(dispatch.Config{DB: db, Order: rpctest.Dial(t, orders.addr)})
	require.NoError(t, err)
	l := rpctest.Listener(t)
	rpctest.Serve(t, l, rpc.ServerConfig{Public: true, Methods: dispatch.PublicMethods(), Logger: databasetest.Logger(t)}, service.Register)
	client := pb.NewDispatchServiceClient(rpctest.Dial(t, l.Addr().String()))
	return &bundle{DispatchServiceClient: client, t: t, db: db, service: service, orders: orders}
}
