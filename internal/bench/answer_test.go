package bench

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

func TestAnsweringParticipantsCount(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Answer(ctx, l) }()
	defer func() {
		stop()
		require.NoError(t, <-served)
	}()
	p, err := dialPeers(l.Addr().String(), l.Addr().String())
	require.NoError(t, err)
	defer p.close()

	stock := stockpb.NewStockServiceClient(p.stock)
	three := &stockpb.ReserveRequest{Lines: []*stockpb.ReserveLine{{Sku: "a", Quantity: 1}, {Sku: "b", Quantity: 2}}}
	for range 3 {
		_, err = stock.TryReserve(t.Context(), three)
		require.NoError(t, err)
	}
	_, err = stock.ConfirmReserve(t.Context(), three)
	require.NoError(t, err)
	_, err = stock.CancelReserve(t.Context(), three)
	require.NoError(t, err)
	s, err := p.shelf(t.Context())
	require.NoError(t, err)
	require.Equal(t, shelf{reserved: 3, sold: 3}, s)

	account := accountpb.NewAccountServiceClient(p.account)
	_, err = account.TryDebit(t.Context(), &accountpb.DebitRequest{})
	require.NoError(t, err)
	_, err = account.ConfirmDebit(t.Context(), &accountpb.DebitRequest{})
	require.NoError(t, err)
	_, err = account.CancelDebit(t.Context(), &accountpb.DebitRequest{})
	require.NoError(t, err)
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	_, err := Order(t.Context(), Config{Clients: []int{0}})
	require.ErrorContains(t, err, "a MySQL and a Redis server are needed")
	require.ErrorContains(t, err, "0 clients")
	require.ErrorContains(t, err, "rounds")
}
