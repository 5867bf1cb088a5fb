package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// replicaKilled stops the order of one order service at a call, and kills that service for good.
type replicaKilled struct {
	behind string // the relay: who is called
	when   moment
	method string
	ends   outcome
}

func (c replicaKilled) String() string {
	return "killed " + c.when.String() + " " + c.method + c.ends.suffix()
}

// TestReplicaKilled kills one of two order services in the middle of an order, and sends the request to the
// other.
func TestReplicaKilled(t *testing.T) {
	cases := []replicaKilled{
		{stock, before, "ListItems", confirmed},
		{dtm, after, "Prepare", confirmed},
		{account, after, "TryDebit", confirmed},
		{dtm, before, "Submit", confirmed},
		{dtm, after, "Submit", confirmed},
		{dtm, before, "Abort", outOfStock},
		{account, before, "ConfirmDebit", confirmed},
	}
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newShop(t, store.open(t))
		second := s.another(t, order)
		client := orderpb.NewOrderServiceClient(dial(t, second.public))
		var stopped []*point
		var calls []*calling
		var buyers []*customer
		for _, c := range cases {
			buyer := s.customer(t, c.ends)
			there := *buyer
			there.orders = client
			p := s.relays[c.behind].hold(c.when, c.method)
			call := there.place(t)
			p.wait(t)
			stopped, calls, buyers = append(stopped, p), append(calls, call), append(buyers, buyer)
		}
		second.kill(t)
		for i, c := range cases {
			stopped[i].cut()
			require.Equal(t, codes.Unavailable, status.Code(calls[i].wait(t).err), c)
		}
		for _, buyer := range buyers {
			buyer.again(t)
		}
		s.settled(t)
		for _, buyer := range buyers {
			buyer.done(t)
		}
		second.start(t) // to be ended like the others
	})
}
