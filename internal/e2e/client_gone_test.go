package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/testserver"
)

// clientGone breaks the client's connection while its order is stopped at a call.
type clientGone struct {
	behind string // the relay: who is called
	when   moment
	method string
	ends   outcome
}

func (c clientGone) String() string {
	return "client gone " + c.when.String() + " " + c.method + c.ends.suffix()
}

// TestClientGone leaves the order service alone with an order, which must end it, and then sends the request
// again.
func TestClientGone(t *testing.T) {
	cases := []clientGone{
		{stock, before, "ListItems", confirmed},
		{dtm, after, "Prepare", confirmed},
		{dtm, before, "RegisterBranch/ConfirmDebit", confirmed},
		{account, before, "TryDebit", confirmed},
		{stock, after, "TryReserve", confirmed},
		{dtm, before, "Submit", confirmed},
		{dtm, after, "Submit", confirmed},
		{account, before, "ConfirmDebit", confirmed},
		{dtm, before, "Abort", outOfBalance},
	}
	onEachStore(t, func(t *testing.T, store dtmStore) { inShops(t, store, 1, cases, clientGone.run) })
}

func (c clientGone) run(t *testing.T, s *shop) {
	wire := testserver.NewProxy(t, s.services[order].public)
	client := orderpb.NewOrderServiceClient(dial(t, wire.Addr()))
	buyer := s.customer(t, c.ends)
	point := s.relays[c.behind].hold(c.when, c.method)
	lost := make(chan error, 1)
	ctx := bounded(t)
	go func() {
		_, err := client.PlaceOrder(ctx, buyer.request())
		lost <- err
	}()
	point.wait(t)
	wire.Refuse()
	require.Equal(t, codes.Unavailable, status.Code(<-lost))
	point.release()

	s.settled(t) // without anybody asking again
	buyer.again(t)
	s.settled(t)
	buyer.done(t)
}
