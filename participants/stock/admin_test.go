package stock_test

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/stock"
)

func TestPutItem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		for range 3 {
			resp, err := b.PutItem(t.Context(), &pb.PutItemRequest{RequestId: "r1", Sku: "a", Add: 10, Price: eur(100)})
			require.NoError(t, err)
			require.Equal(t, int64(10), resp.GetAvailableAfter())
		}
		resp, err := b.PutItem(t.Context(), &pb.PutItemRequest{RequestId: "r2", Sku: "a", Add: 0, Price: &commonpb.Money{Amount: 90, Currency: "USD"}})
		require.NoError(t, err)
		require.Equal(t, int64(10), resp.GetAvailableAfter())
		_, err = b.PutItem(t.Context(), &pb.PutItemRequest{RequestId: "r2", Sku: "a", Add: 1, Price: eur(90)})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")

		item, err := b.GetItem(t.Context(), &pb.GetItemRequest{Sku: "a"})
		require.NoError(t, err)
		require.Equal(t, int64(90), item.GetItem().GetPrice().GetAmount())
		require.Equal(t, "USD", item.GetItem().GetPrice().GetCurrency())
		b.requireCounts("a", 10, 0, 0)
		_, err = b.GetItem(t.Context(), &pb.GetItemRequest{Sku: "A"})
		rpctest.RequireStatus(t, err, codes.NotFound, stock.ReasonUnknownSKU)
	})
}

// Requests that make the same item at once, each sent several times.
func TestPutItemAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				_, err := b.PutItem(t.Context(), &pb.PutItemRequest{RequestId: "r" + strconv.Itoa(i%6), Sku: "a", Add: 10, Price: eur(1)})
				if err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		b.requireCounts("a", 60, 0, 0)
	})
}

func TestPutItemRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("a", 1, 1)
		// More than a request may add is only reached in many.
		_, err := b.db.Exec(t.Context(), "UPDATE item SET sold = ? WHERE sku = 'a'", int64(math.MaxInt64-10))
		require.NoError(t, err)
		_, err = b.PutItem(t.Context(), &pb.PutItemRequest{RequestId: "r", Sku: "a", Add: 10, Price: eur(1)})
		rpctest.RequireStatus(t, err, codes.OutOfRange, "STOCK_OVERFLOW")
		b.requireCounts("a", 1, 0, math.MaxInt64-10)

		long := strings.Repeat("x", 65)
		for name, req := range map[string]*pb.PutItemRequest{
			"sku too long":   {RequestId: "r", Sku: long, Price: eur(1)},
			"id too long":    {RequestId: long, Sku: "b", Price: eur(1)},
			"negative":       {RequestId: "r", Sku: "b", Add: -1, Price: eur(1)},
			"too many":       {RequestId: "r", Sku: "b", Add: 1_000_000_000_001, Price: eur(1)},
			"no price":       {RequestId: "r", Sku: "b"},
			"negative price": {RequestId: "r", Sku: "b", Price: eur(-1)},
			"dear":           {RequestId: "r", Sku: "b", Price: eur(1_000_000_000_001)},
			"currency":       {RequestId: "r", Sku: "b", Price: &commonpb.Money{Amount: 1, Currency: "EURO"}},
		} {
			_, err := b.PutItem(t.Context(), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		var n int
		require.NoError(t, b.db.SQL().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM item").Scan(&n))
		require.Equal(t, 1, n)
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := stock.New(stock.Config{})
	require.ErrorContains(t, err, "no DB")
}
