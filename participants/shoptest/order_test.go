package shoptest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/order"
)

func TestOrders(t *testing.T) {
	t.Parallel()
	each(t, map[string]func(*testing.T, *shop){
		"confirmed":                         testConfirmed,
		"rejected":                          testRejected,
		"bad requests":                      testBadRequests,
		"pending":                           testPending,
		"listed":                            testListed,
		"price changed once":                testPriceChangedOnce,
		"price changed twice":               testPriceChangedTwice,
		"price changed to another no":       testPriceChangedToAnotherNo,
		"same request, again":               testSameRequestAgain,
		"same request, at once":             testSameRequestAtOnce,
		"same request, other body":          testSameRequestOtherBody,
		"same request, rejected at once":    testSameRequestRejectedAtOnce,
		"lost answers":                      testLostAnswers,
		"lost requests":                     testLostRequests,
		"crashes":                           testCrashes,
		"crash between two attempts":        testCrashBetweenAttempts,
		"late try of an attempt taken over": testLateTry,
		"coordinator away":                  testCoordinatorAway,
		"outcome unknown":                   testOutcomeUnknown,
		"account away":                      testAccountAway,
		"caller goes away":                  testCallerGoesAway,
		"restored once":                     testRestored,
		"restored only with witnesses":      testNotRestored,
	})
}

func testConfirmed(t *testing.T, s *shop) {
	a, one, two := s.openAccount(1000), s.putItem(10, 100), s.putItem(5, 7)
	before := time.Now().Add(-time.Second)
	resp, err := s.PlaceOrder(t.Context(), s.request(a, 2, one, two))
	require.NoError(t, err)
	o := resp.GetOrder()
	require.Equal(t, orderpb.OrderStatus_ORDER_STATUS_CONFIRMED, o.GetStatus())
	require.Equal(t, int64(214), o.GetTotal().GetAmount())
	require.Equal(t, "EUR", o.GetTotal().GetCurrency())
	require.Len(t, o.GetLines(), 2)
	require.Equal(t, int64(100), o.GetLines()[0].GetPrice().GetAmount())
	require.True(t, o.GetCreateTime().AsTime().After(before))
	// The order is confirmed last.
	require.Equal(t, [3]int64{786, 0, 214}, s.sums(a))
	require.Equal(t, [3]int64{8, 0, 2}, s.counts(one))
	require.Equal(t, [3]int64{3, 0, 2}, s.counts(two))

	read, err := s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: o.GetOrderId()})
	require.NoError(t, err)
	require.Equal(t, o.String(), read.GetOrder().String(), "the answer is the order as it is stored")
}

func testRejected(t *testing.T, s *shop) {
	a, poor, usd := s.openAccount(1000), s.openAccount(99), s.id("usd")
	_, err := s.Account.OpenAccount(t.Context(), &accountpb.OpenAccountRequest{RequestId: s.id("r"), AccountId: usd, Currency: "USD"})
	require.NoError(t, err)
	one, other, dollars := s.putItem(10, 100), s.putItem(1, 1), s.id("sku")
	s.put(dollars, 10, &commonpb.Money{Amount: 1, Currency: "USD"})
	for name, c := range map[string]struct {
		req             *orderpb.PlaceOrderRequest
		reason, service string
		metadata        map[string]string
	}{
		"stock":            {s.request(a, 2, one, other), "INSUFFICIENT_STOCK", "stock", map[string]string{"sku": other, "available": "1", "requested": "2"}},
		"balance":          {s.request(poor, 1, one), "INSUFFICIENT_BALANCE", "account", map[string]string{"account_id": poor, "available": "99", "requested": "100"}},
		"account":          {s.request("none", 1, one), "UNKNOWN_ACCOUNT", "account", map[string]string{"account_id": "none"}},
		"sku":              {s.request(a, 1, one, "none"), "UNKNOWN_SKU", "stock", map[string]string{"sku": "none"}},
		"account currency": {s.request(usd, 1, one), "CURRENCY_MISMATCH", "account", map[string]string{"account_id": usd, "account_currency": "USD", "currency": "EUR"}},
		"item currency":    {s.request(a, 1, one, dollars), "CURRENCY_MISMATCH", "stock", map[string]string{"sku": dollars, "currency": "USD", "order_currency": "EUR"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.PlaceOrder(t.Context(), c.req)
			rpctest.RequireStatus(t, err, codes.FailedPrecondition, c.reason)
			_, metadata := rpctest.Reason(err)
			gid := metadata["gid"]
			require.NotEmpty(t, gid)
			c.metadata["gid"], c.metadata["service"] = gid, c.service
			require.Equal(t, c.metadata, metadata)
			// When the answer comes, everything is given back.
			require.Equal(t, [3]int64{1000, 0, 0}, s.sums(a))
			require.Equal(t, [3]int64{99, 0, 0}, s.sums(poor))
			require.Equal(t, [3]int64{10, 0, 0}, s.counts(one))
			require.Equal(t, [3]int64{1, 0, 0}, s.counts(other))

			_, again := s.PlaceOrder(t.Context(), c.req)
			require.Equal(t, status.Convert(err).Proto().String(), status.Convert(again).Proto().String(), "for good")
			read, err := s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: gid})
			require.NoError(t, err)
			require.Equal(t, orderpb.OrderStatus_ORDER_STATUS_CANCELLED, read.GetOrder().GetStatus())
			require.Equal(t, c.reason, read.GetOrder().GetReason())
		})
	}
}

// Each with a status of its own, and nothing written.
func testBadRequests(t *testing.T, s *shop) {
	a, sku, free := s.openAccount(1000), s.putItem(math.MaxInt32, 100), s.putItem(1, 0)
	line := func(sku string, n int64) *orderpb.LineItem { return &orderpb.LineItem{Sku: sku, Quantity: n} }
	place := func(request, account string, lines ...*orderpb.LineItem) func() error {
		return func() error {
			_, err := s.PlaceOrder(t.Context(), &orderpb.PlaceOrderRequest{RequestId: request, AccountId: account, Lines: lines})
			return err
		}
	}
	long := strings.Repeat("x", 65)
	var overflow []*orderpb.LineItem
	for range 10 {
		item := s.putItem(1_000_000, 1_000_000_000_000)
		overflow = append(overflow, line(item, 1_000_000))
	}
	many := make([]*orderpb.LineItem, 101)
	for i := range many {
		many[i] = line(s.id("many"), 1)
	}
	conn := rpctest.Dial(t, s.accountAt)
	for name, c := range map[string]struct {
		call func() error
		code codes.Code
		text string
	}{
		"no lines":            {place("r", a), codes.InvalidArgument, "lines"},
		"no quantity":         {place("r", a, line(sku, 0)), codes.InvalidArgument, "quantity"},
		"negative quantity":   {place("r", a, line(sku, -1)), codes.InvalidArgument, "quantity"},
		"too many pieces":     {place("r", a, line(sku, 1_000_001)), codes.InvalidArgument, "quantity"},
		"largest quantity":    {place("r", a, line(sku, math.MaxInt64)), codes.InvalidArgument, "quantity"},
		"total overflows":     {place("r", a, overflow...), codes.OutOfRange, "2^63"},
		"nothing to pay":      {place("r", a, line(free, 1)), codes.InvalidArgument, "total is 0"},
		"the same sku twice":  {place("r", a, line(sku, 1), line(sku, 2)), codes.InvalidArgument, "each sku may appear once"},
		"too many lines":      {place("r", a, many...), codes.InvalidArgument, "lines"},
		"no request id":       {place("", a, line(sku, 1)), codes.InvalidArgument, "request_id"},
		"request id too long": {place(long, a, line(sku, 1)), codes.InvalidArgument, "request_id"},
		"account too long":    {place("r", long, line(sku, 1)), codes.InvalidArgument, "account_id"},
		"sku too long":        {place("r", a, line(long, 1)), codes.InvalidArgument, "sku"},
		"odd characters":      {place("r\n", a, line(sku, 1)), codes.InvalidArgument, "request_id"},
		"not UTF-8": {func() error {
			return conn.Invoke(t.Context(), accountpb.AccountService_GetAccount_FullMethodName, []byte{0x0a, 0x01, 0xff}, nil, grpc.ForceCodec(rpctest.Bytes{}))
		}, codes.InvalidArgument, "UTF-8"},
		"a try without a transaction": {func() error {
			_, err := s.Account.TryDebit(t.Context(), &accountpb.DebitRequest{AccountId: a, Amount: eur(1)})
			return err
		}, codes.InvalidArgument, "belongs to no global transaction"},
		"order id too long": {func() error {
			_, err := s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: strings.Repeat("x", 129)})
			return err
		}, codes.InvalidArgument, "order_id"},
		"no such order": {func() error {
			_, err := s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: "no such order é"})
			return err
		}, codes.NotFound, "there is no such order"},
		"page token": {func() error {
			_, err := s.ListOrders(t.Context(), &orderpb.ListOrdersRequest{AccountId: a, PageToken: "AQ"})
			return err
		}, codes.InvalidArgument, "page token"},
	} {
		err := c.call()
		require.Equal(t, c.code, status.Code(err), "%s: %v", name, err)
		require.ErrorContains(t, err, c.text, name)
	}
	require.Equal(t, [3]int64{1000, 0, 0}, s.sums(a))
	require.Equal(t, [3]int64{math.MaxInt32, 0, 0}, s.counts(sku))
	// The request ids were not used up.
	_, err := s.PlaceOrder(t.Context(), &orderpb.PlaceOrderRequest{RequestId: "r", AccountId: a, Lines: []*orderpb.LineItem{line(sku, 1)}})
	require.NoError(t, err)
	found, err := s.ListOrders(t.Context(), &orderpb.ListOrdersRequest{AccountId: a})
	require.NoError(t, err)
	require.Len(t, found.GetOrders(), 1)
}

// While a Confirm does not get through the answer is PENDING.
func testPending(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	release := s.holds.hold(a)
	hasty := s.newReplica(func(cfg *order.Config) { cfg.AnswerWait = 100 * time.Millisecond })
	req := s.request(a, 1, sku)
	resp, err := hasty.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	o := resp.GetOrder()
	require.Equal(t, orderpb.OrderStatus_ORDER_STATUS_PENDING, o.GetStatus())
	require.NotEmpty(t, o.GetOrderId())
	require.Equal(t, int64(100), o.GetTotal().GetAmount())

	again, err := hasty.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, o.String(), again.GetOrder().String())
	read, err := s.GetOrder(t.Context(), &orderpb.GetOrderRequest{OrderId: o.GetOrderId()})
	require.NoError(t, err)
	require.Equal(t, o.String(), read.GetOrder().String())

	release()
	done := s.placeUntilDecided(s.replica, req)
	require.Equal(t, o.GetOrderId(), done.GetOrderId())
	s.requireOneOrder(req, done, 1000, 10)
}

func testListed(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 1)
	var want []string
	for range 5 {
		resp, err := s.PlaceOrder(t.Context(), s.request(a, 1, sku))
		require.NoError(t, err)
		want = append([]string{resp.GetOrder().GetOrderId()}, want...)
	}
	var got []string
	req := &orderpb.ListOrdersRequest{AccountId: a, PageSize: 2}
	for pages := 0; ; pages++ {
		require.Less(t, pages, 3)
		resp, err := s.ListOrders(t.Context(), req)
		require.NoError(t, err)
		for _, o := range resp.GetOrders() {
			require.Len(t, o.GetLines(), 1)
			got = append(got, o.GetOrderId())
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			break
		}
		_, err = s.ListOrders(t.Context(), &orderpb.ListOrdersRequest{AccountId: "another", PageToken: req.GetPageToken()})
		rpctest.RequireStatus(t, err, codes.InvalidArgument, "BAD_PAGE_TOKEN")
	}
	require.Equal(t, want, got, "newest first")
}

func testPriceChangedOnce(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	r := s.newReplica()
	r.wire.on(stockpb.StockService_TryReserve_FullMethodName, first(func() { s.put(sku, 0, eur(110)) }))
	req := s.request(a, 2, sku)
	resp, err := r.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, int64(220), resp.GetOrder().GetTotal().GetAmount())
	s.requireOneOrder(req, resp.GetOrder(), 1000, 10)
	found, err := s.ListOrders(t.Context(), &orderpb.ListOrdersRequest{AccountId: a})
	require.NoError(t, err)
	require.Len(t, found.GetOrders(), 2)
	require.Equal(t, orderpb.OrderStatus_ORDER_STATUS_CANCELLED, found.GetOrders()[1].GetStatus())
	require.Equal(t, "PRICE_CHANGED", found.GetOrders()[1].GetReason())
}

func testPriceChangedTwice(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	r := s.newReplica()
	for price := range int64(2) {
		r.wire.on(stockpb.StockService_TryReserve_FullMethodName, first(func() { s.put(sku, 0, eur(110+price)) }))
	}
	req := s.request(a, 2, sku)
	_, err := r.PlaceOrder(t.Context(), req)
	rpctest.RequireStatus(t, err, codes.FailedPrecondition, "PRICE_CHANGED")
	_, metadata := rpctest.Reason(err)
	require.Equal(t, "111", metadata["price"])
	require.Equal(t, "110", metadata["quoted"])
	require.Equal(t, "stock", metadata["service"])
	require.Zero(t, r.wire.unused())
	_, err = s.PlaceOrder(t.Context(), req)
	rpctest.RequireStatus(t, err, codes.FailedPrecondition, "PRICE_CHANGED")
	require.Equal(t, [3]int64{1000, 0, 0}, s.sums(a))
	require.Equal(t, [3]int64{10, 0, 0}, s.counts(sku))
}

// The new price is in another currency than the other lines'.
func testPriceChangedToAnotherNo(t *testing.T, s *shop) {
	a, one, two := s.openAccount(1000), s.putItem(10, 100), s.putItem(10, 100)
	r := s.newReplica()
	r.wire.on(stockpb.StockService_TryReserve_FullMethodName, first(func() { s.put(two, 0, &commonpb.Money{Amount: 100, Currency: "USD"}) }))
	req := s.request(a, 1, one, two)
	for range 2 {
		_, err := r.PlaceOrder(t.Context(), req)
		rpctest.RequireStatus(t, err, codes.FailedPrecondition, "CURRENCY_MISMATCH")
	}
	require.Equal(t, [3]int64{1000, 0, 0}, s.sums(a))
	require.Equal(t, [3]int64{10, 0, 0}, s.counts(one))
}
