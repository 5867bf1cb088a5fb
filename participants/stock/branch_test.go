package stock_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/stock"
	"github.com/tcckit/tcckit/tcc"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("a", 10, 100)
		b.put("b", 5, 0)
		req := reserve(line("b", 5, 0), line("a", 3, 100))

		confirmed := branch()
		for range 2 {
			_, err := b.TryReserve(b.in(confirmed, tcc.Try), req)
			require.NoError(t, err)
			b.requireCounts("a", 7, 3, 0)
			b.requireCounts("b", 0, 5, 0)
		}
		for range 2 {
			_, err := b.ConfirmReserve(b.in(confirmed, tcc.Confirm), req)
			require.NoError(t, err)
			b.requireCounts("a", 7, 0, 3)
			b.requireCounts("b", 0, 0, 5)
		}

		cancelled := branch()
		req = reserve(line("a", 7, 100))
		_, err := b.TryReserve(b.in(cancelled, tcc.Try), req)
		require.NoError(t, err)
		// A price that changes now is none of the reservation's business.
		b.put("a", 0, 120)
		for range 2 {
			_, err = b.CancelReserve(b.in(cancelled, tcc.Cancel), req)
			require.NoError(t, err)
			b.requireCounts("a", 7, 0, 3)
		}
	})
}

func TestReserveIsRejected(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("a", 10, 100)
		b.put("b", 5, 20)
		for name, c := range map[string]struct {
			req      *pb.ReserveRequest
			reason   string
			metadata map[string]string
		}{
			"unknown": {
				reserve(line("a", 1, 100), line("none", 1, 1)), stock.ReasonUnknownSKU,
				map[string]string{"sku": "none"},
			},
			"told apart by case": {
				reserve(line("A", 1, 100)), stock.ReasonUnknownSKU,
				map[string]string{"sku": "A"},
			},
			"sold out": {
				reserve(line("a", 1, 100), line("b", 6, 20)), stock.ReasonInsufficientStock,
				map[string]string{"sku": "b", "available": "5", "requested": "6"},
			},
			"price": {
				reserve(line("b", 1, 20), line("a", 1, 99)), stock.ReasonPriceChanged,
				map[string]string{"sku": "a", "price": "100", "currency": "EUR", "quoted": "99", "quoted_currency": "EUR"},
			},
			"currency": {
				reserve(&pb.ReserveLine{Sku: "a", Quantity: 1, Price: &commonpb.Money{Amount: 100, Currency: "USD"}}), stock.ReasonPriceChanged,
				map[string]string{"sku": "a", "price": "100", "currency": "EUR", "quoted": "100", "quoted_currency": "USD"},
			},
			"price before stock": {
				reserve(line("a", 11, 99)), stock.ReasonPriceChanged,
				map[string]string{"sku": "a", "price": "100", "currency": "EUR", "quoted": "99", "quoted_currency": "EUR"},
			},
		} {
			t.Run(name, func(t *testing.T) {
				br := branch()
				for range 2 { // a duplicate gets the same rejection
					_, err := b.TryReserve(b.in(br, tcc.Try), c.req)
					rpctest.RequireStatus(t, err, codes.Aborted, c.reason)
					_, metadata := rpctest.Reason(err)
					require.Equal(t, c.metadata, metadata)
				}
				_, err := b.CancelReserve(b.in(br, tcc.Cancel), c.req)
				require.NoError(t, err)
				b.requireCounts("a", 10, 0, 0)
				b.requireCounts("b", 5, 0, 0)
			})
		}
	})
}

func TestReserveRefusesBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("a", 10, 100)
		many := make([]*pb.ReserveLine, 101)
		for i := range many {
			many[i] = line("sku-"+string(rune('a'+i%26))+string(rune('a'+i/26)), 1, 1)
		}
		for name, req := range map[string]*pb.ReserveRequest{
			"no lines":       reserve(),
			"nothing":        reserve(line("a", 0, 100)),
			"negative":       reserve(line("a", -1, 100)),
			"too many":       reserve(line("a", 1_000_001, 100)),
			"the same twice": reserve(line("a", 1, 100), line("a", 1, 100)),
			"no price":       reserve(&pb.ReserveLine{Sku: "a", Quantity: 1}),
			"many lines":     reserve(many...),
		} {
			_, err := b.TryReserve(b.in(branch(), tcc.Try), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		_, err := b.TryReserve(t.Context(), reserve(line("a", 1, 100)))
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)

		// A Cancel is not validated, but makes no goods.
		br := branch()
		_, err = b.TryReserve(b.in(br, tcc.Try), reserve(line("a", 1, 100)))
		require.NoError(t, err)
		_, err = b.CancelReserve(b.in(br, tcc.Cancel), reserve(line("a", -1, 100)))
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
		b.requireCounts("a", 9, 1, 0)
	})
}

// 32 callers reserve the same items, named in different orders, until they are
// sold out.
func TestReservationsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		const pieces, callers = 90, 32
		b.put("a", pieces, 1)
		b.put("b", pieces, 1)
		var confirmed atomic.Int64
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				req := reserve(line("a", 1, 1), line("b", 1, 1))
				if i%2 == 1 {
					req = reserve(line("b", 1, 1), line("a", 1, 1))
				}
				for n := range 5 {
					br := branch()
					_, err := b.TryReserve(b.in(br, tcc.Try), req)
					if reason, _ := rpctest.Reason(err); err != nil && reason != stock.ReasonInsufficientStock && status.Code(err) != codes.Unavailable {
						t.Errorf("%v", err)
					}
					if err == nil && n%4 > 0 {
						confirmed.Add(1)
						err = untilAvailable(func() error { _, err := b.ConfirmReserve(b.in(br, tcc.Confirm), req); return err })
					} else {
						err = untilAvailable(func() error { _, err := b.CancelReserve(b.in(br, tcc.Cancel), req); return err })
					}
					if err != nil {
						t.Errorf("%v", err)
					}
				}
			})
		}
		all.Wait()
		sold := confirmed.Load()
		require.LessOrEqual(t, sold, int64(pieces))
		b.requireCounts("a", pieces-sold, 0, sold)
		b.requireCounts("b", pieces-sold, 0, sold)
	})
}

// untilAvailable calls again while a call says that nothing happened for a
// reason that passes, as the coordinator does: on a busy machine rows may be
// waited for longer than a call may take.
func untilAvailable(call func() error) (err error) {
	for range 20 {
		if err = call(); status.Code(err) != codes.Unavailable {
			return err
		}
	}
	return err
}
