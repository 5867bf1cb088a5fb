package order

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/tcc"
)

func money(n int64, currency string) *commonpb.Money {
	return &commonpb.Money{Amount: n, Currency: currency}
}

func TestPrice(t *testing.T) {
	t.Parallel()
	prices := map[string]*commonpb.Money{
		"a": money(250, "EUR"), "b": money(1, "EUR"), "free": money(0, "EUR"),
		"usd": money(1, "USD"), "dear": money(1_000_000_000_000, "EUR"),
	}
	lines := func(pairs ...any) (l []*pb.LineItem) {
		for i := 0; i < len(pairs); i += 2 {
			sku, _ := pairs[i].(string)
			n, _ := pairs[i+1].(int)
			l = append(l, &pb.LineItem{Sku: sku, Quantity: int64(n)})
		}
		return l
	}

	q, err := price(lines("a", 3, "b", 2, "free", 1), prices)
	require.NoError(t, err)
	require.Equal(t, int64(752), q.total.GetAmount())
	require.Equal(t, "EUR", q.total.GetCurrency())
	require.Len(t, q.lines, 3)
	require.Equal(t, int64(250), q.lines[0].GetPrice().GetAmount())

	var no *tcc.Rejection
	_, err = price(lines("a", 1, "none", 1), prices)
	require.ErrorAs(t, err, &no)
	require.Equal(t, "UNKNOWN_SKU", no.Reason)
	require.Equal(t, "none", no.Metadata["sku"])
	_, err = price(lines("a", 1, "usd", 1), prices)
	require.ErrorAs(t, err, &no)
	require.Equal(t, "CURRENCY_MISMATCH", no.Reason)
	require.Equal(t, map[string]string{"sku": "usd", "currency": "USD", "order_currency": "EUR"}, no.Metadata)

	_, err = price(lines("free", 2), prices)
	rpctest.RequireStatus(t, err, codes.InvalidArgument, "NOTHING_TO_PAY")
	many := lines("dear", 1_000_000)
	for range 9 {
		many = append(many, many[0])
	}
	_, err = price(many[:9], prices)
	require.NoError(t, err)
	_, err = price(many, prices)
	rpctest.RequireStatus(t, err, codes.OutOfRange, "TOTAL_OUT_OF_RANGE")
}

func TestSum(t *testing.T) {
	t.Parallel()
	line := func(n, p int64) *pb.OrderLine {
		return &pb.OrderLine{Sku: "a", Quantity: n, Price: money(p, "EUR")}
	}
	total, err := sum([]*pb.OrderLine{line(1, math.MaxInt64-1), line(1, 1)})
	require.NoError(t, err)
	require.Equal(t, int64(math.MaxInt64), total.GetAmount())
	for name, lines := range map[string][]*pb.OrderLine{
		"none":              {},
		"sum too large":     {line(1, math.MaxInt64-1), line(2, 1)},
		"product too large": {line(math.MaxInt64/2+1, 2)},
		"largest product":   {line(math.MaxInt64, math.MaxInt64)},
		"negative quantity": {line(-1, 1)},
		"no quantity":       {line(0, 1)},
		"negative price":    {line(1, -1)},
		"currencies":        {line(1, 1), {Sku: "b", Quantity: 1, Price: money(1, "USD")}},
	} {
		_, err := sum(lines)
		require.Error(t, err, name)
	}
}
