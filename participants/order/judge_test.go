package order

import (
	"testing"

	"github.com/stretchr/testify/require"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const none, pending, done, cancelled = pb.OrderStatus_ORDER_STATUS_UNSPECIFIED, pb.OrderStatus_ORDER_STATUS_PENDING,
		pb.OrderStatus_ORDER_STATUS_CONFIRMED, pb.OrderStatus_ORDER_STATUS_CANCELLED
	no := &tcc.Rejection{Reason: "NO"}
	for _, c := range []struct {
		name string
		r    request
		want verdict
	}{
		{"another body", request{body: []byte("other"), outcome: no}, refuse},
		{"another body of a confirmed order", request{body: []byte("other"), order: done}, refuse},
		{"rejected before there was an order", request{outcome: no}, rejected},
		{"rejected, to be cancelled", request{outcome: no, order: pending, tried: true}, rejected},
		{"rejected and cancelled", request{outcome: no, order: cancelled, tried: true}, rejected},
		{"confirmed", request{order: done, tried: true}, confirmed},
		{"confirmed while its call goes on", request{order: done, tried: true, leased: true}, confirmed},
		{"pending while its call goes on", request{order: pending, tried: true, leased: true}, undecided},
		{"pending after a crash", request{order: pending, tried: true}, undecided},
		{"cancelled while its call goes on", request{order: cancelled, tried: true, leased: true}, busy},
		{"cancelled after a crash", request{order: cancelled, tried: true}, free},
		{"begun", request{order: none, leased: true}, busy},
		{"begun before a crash", request{order: none}, free},
	} {
		body := []byte("body")
		if c.r.body == nil {
			c.r.body = body
		}
		require.Equal(t, c.want, judge(c.r, body), c.name)
	}
}

func TestEndOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		branch, reason string
		requote        bool
		want           end
	}{
		{branchStock, "INSUFFICIENT_STOCK", true, final},
		{branchAccount, "INSUFFICIENT_BALANCE", true, final},
		{branchStock, reasonPriceChanged, true, repriced},
		{branchStock, reasonPriceChanged, false, final},
		{branchAccount, reasonPriceChanged, true, final},
		{branchOrder, reasonSuperseded, true, superseded},
		{branchStock, reasonSuperseded, true, final},
	} {
		no := &coordinator.RejectedError{BranchID: c.branch, Rejection: &tcc.Rejection{Reason: c.reason}}
		require.Equal(t, c.want, endOf(no, c.requote), "%+v", c)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	line := func(sku string, n int64) *pb.LineItem { return &pb.LineItem{Sku: sku, Quantity: n} }
	of := func(account string, lines ...*pb.LineItem) string {
		return string(fingerprint(&pb.PlaceOrderRequest{RequestId: "any", AccountId: account, Lines: lines}))
	}
	base := of("a", line("x", 1), line("y", 2))
	require.Equal(t, base, of("a", line("x", 1), line("y", 2)))
	for _, other := range []string{
		of("b", line("x", 1), line("y", 2)),
		of("a", line("x", 1)),
		of("a", line("x", 2), line("y", 1)),
		of("a", line("y", 2), line("x", 1)),
	} {
		require.NotEqual(t, base, other)
	}
}
