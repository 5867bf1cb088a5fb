package shoptest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
)

func testSameRequestAgain(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	req := s.request(a, 1, sku)
	resp, err := s.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	// The answer does not depend on what has changed since.
	s.put(sku, 0, eur(1))
	for range 3 {
		again, err := s.PlaceOrder(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, resp.String(), again.String())
	}
	s.requireOneOrder(req, resp.GetOrder(), 1000, 10)

	// The same request_id of another account is another request.
	b := s.openAccount(1000)
	other := &orderpb.PlaceOrderRequest{RequestId: req.GetRequestId(), AccountId: b, Lines: req.GetLines()}
	_, err = s.PlaceOrder(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, [3]int64{999, 0, 1}, s.sums(b))
}

// Two order services on one database get the same request at once, many times.
func testSameRequestAtOnce(t *testing.T, s *shop) {
	replicas := []*replica{s.newReplica(), s.newReplica()}
	for range 5 {
		a, sku := s.openAccount(1000), s.putItem(10, 100)
		req := s.request(a, 1, sku)
		answers := make([]*orderpb.Order, 12)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				resp, err := replicas[i%2].PlaceOrder(t.Context(), req)
				if err != nil {
					t.Errorf("%v", err)
				}
				answers[i] = resp.GetOrder()
			})
		}
		all.Wait()
		for _, o := range answers {
			require.Equal(t, answers[0].GetOrderId(), o.GetOrderId())
			require.NotEmpty(t, o.GetOrderId())
		}
		s.requireOneOrder(req, s.placeUntilDecided(replicas[0], req), 1000, 10)
	}
}

func testSameRequestOtherBody(t *testing.T, s *shop) {
	a, sku, other := s.openAccount(1000), s.putItem(10, 100), s.putItem(1, 1)
	confirmed, rejected := s.request(a, 1, sku), s.request(a, 2, other)
	_, err := s.PlaceOrder(t.Context(), confirmed)
	require.NoError(t, err)
	_, err = s.PlaceOrder(t.Context(), rejected)
	rpctest.RequireStatus(t, err, codes.FailedPrecondition, "INSUFFICIENT_STOCK")
	for _, id := range []string{confirmed.GetRequestId(), rejected.GetRequestId()} {
		req := s.request(a, 3, sku)
		req.RequestId = id
		_, err = s.PlaceOrder(t.Context(), req)
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
	}
	require.Equal(t, [3]int64{900, 0, 100}, s.sums(a))
	require.Equal(t, [3]int64{9, 0, 1}, s.counts(sku))
}

func testSameRequestRejectedAtOnce(t *testing.T, s *shop) {
	replicas := []*replica{s.newReplica(), s.newReplica()}
	a, sku := s.openAccount(1000), s.putItem(1, 100)
	req := s.request(a, 2, sku)
	gids := make([]string, 12)
	var all sync.WaitGroup
	for i := range gids {
		all.Go(func() {
			_, err := replicas[i%2].PlaceOrder(t.Context(), req)
			reason, metadata := rpctest.Reason(err)
			if reason != "INSUFFICIENT_STOCK" {
				t.Errorf("%v", err)
			}
			gids[i] = metadata["gid"]
		})
	}
	all.Wait()
	for _, gid := range gids {
		require.Equal(t, gids[0], gid)
	}
	s.eventually(func() bool { return s.sums(a) == [3]int64{1000, 0, 0} }, "everything given back")
	require.Equal(t, [3]int64{1, 0, 0}, s.counts(sku))
}

// 32 clients buy from one account and one item until it is sold out: never
// oversold, never negative, sums conserved. It is not parallel to other tests,
// for it wants all of the machine.
func TestSoldOut(t *testing.T) {
	skipShort(t)
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) { sellOut(t, newShop(t, kind)) })
	}
}

func sellOut(t *testing.T, s *shop) {
	const clients, pieces, balance = 32, 50, 100_000
	a, sku := s.openAccount(balance), s.putItem(pieces, 10)
	replicas := []*replica{s.newReplica(), s.newReplica()}
	var sold atomic.Int64
	done := make(chan struct{})
	var watch, all sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, v := range [2][3]int64{s.sums(a), s.counts(sku)} {
				if v[0] < 0 || v[1] < 0 || v[2] < 0 {
					t.Errorf("negative: %v", v)
				}
			}
			s.pause()
		}
	})
	for i := range clients {
		all.Go(func() {
			for {
				req := s.request(a, 1, sku)
				resp, err := replicas[i%2].PlaceOrder(t.Context(), req)
				switch reason, _ := rpctest.Reason(err); {
				case err == nil && resp.GetOrder().GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED:
					sold.Add(1)
				case err == nil:
					s.placeUntilDecided(replicas[i%2], req)
					sold.Add(1)
				case reason == "INSUFFICIENT_STOCK" && s.counts(sku)[1] == 0:
					return
				case reason != "INSUFFICIENT_STOCK" && reason != "NOT_MADE":
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	all.Wait()
	close(done)
	watch.Wait()
	require.LessOrEqual(t, sold.Load(), int64(pieces))
	s.eventually(func() bool { return s.counts(sku)[1] == 0 && s.sums(a)[1] == 0 }, "nothing left reserved")
	n := sold.Load()
	require.Equal(t, [3]int64{pieces - n, 0, n}, s.counts(sku))
	require.Equal(t, [3]int64{balance - 10*n, 0, 10 * n}, s.sums(a))
	require.Len(t, s.confirmedOrders(a), int(n))
}
