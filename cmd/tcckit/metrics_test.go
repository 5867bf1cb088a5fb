package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/stack"
)

// TestAnOrderIsObserved places an order and finds it in the metrics of each service, and in one trace that
// covers the initiator, the calls that DTM made, and all participants.
func TestAnOrderIsObserved(t *testing.T) {
	needsDTM(t)
	traces := collect(t)
	t.Setenv("TCCKIT_OTLP_ENDPOINT", "http://"+traces.addr)
	s, err := stack.New(t.Context(), stack.Config{Program: binary, Dir: t.TempDir(), RetryInterval: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	require.NoError(t, s.Start(t.Context()))
	placeOrder(t, s)

	metrics := make(map[string]string)
	for _, name := range stack.Services() {
		code, text := get(t, "http://"+s.Service(name).Admin+"/metrics")
		require.Equal(t, 200, code)
		metrics[name] = text
	}
	for name, wants := range map[string][]string{
		stack.Order: {
			`tcckit_branch_duration_seconds_count{action="Create",outcome="done",phase="try",service="tcckit.order.v1.OrderService"} 1`,
			`tcckit_branch_duration_seconds_count{action="Create",outcome="done",phase="confirm",service="tcckit.order.v1.OrderService"} 1`,
			`tcckit_transaction_duration_seconds_count{outcome="committed"} 1`,
		},
		stack.Account: {
			`tcckit_branch_duration_seconds_count{action="Debit",outcome="done",phase="try",service="tcckit.account.v1.AccountService"} 1`,
			`tcckit_branch_duration_seconds_count{action="Debit",outcome="done",phase="confirm",service="tcckit.account.v1.AccountService"} 1`,
			`service_name="tcckit-account"`,
		},
		stack.Stock: {
			`tcckit_branch_duration_seconds_count{action="Reserve",outcome="done",phase="try",service="tcckit.stock.v1.StockService"} 1`,
			`tcckit_branch_duration_seconds_count{action="Reserve",outcome="done",phase="confirm",service="tcckit.stock.v1.StockService"} 1`,
		},
	} {
		for _, want := range wants {
			require.Contains(t, metrics[name], want)
		}
	}
	// The services send their last spans when they end.
	require.NoError(t, s.Stop(context.Background()))
	trace := traces.of(t, "tcckit.transaction")
	for _, span := range []string{
		"tcckit.order.v1.OrderService/PlaceOrder", "dtmgimp.Dtm/Submit",
		"tcckit.order.v1.OrderService/TryCreate", "tcckit.account.v1.AccountService/TryDebit", "tcckit.stock.v1.StockService/TryReserve",
		"tcckit.order.v1.OrderService/ConfirmCreate", "tcckit.account.v1.AccountService/ConfirmDebit", "tcckit.stock.v1.StockService/ConfirmReserve",
	} {
		require.Contains(t, trace, span)
	}
}

// placeOrder places an order, from the lines of a cart if there are any, and waits until it is confirmed.
func placeOrder(t *testing.T, s *stack.Stack, cartLines ...string) (order *orderpb.Order) {
	t.Helper()
	eur := func(amount int64) *commonpb.Money { return &commonpb.Money{Amount: amount, Currency: "EUR"} }
	accounts := accountpb.NewAccountServiceClient(dial(t, s.Service(stack.Account).Internal))
	_, err := accounts.OpenAccount(t.Context(), &accountpb.OpenAccountRequest{RequestId: "a", AccountId: "a", Currency: "EUR"})
	require.NoError(t, err)
	_, err = accounts.Deposit(t.Context(), &accountpb.DepositRequest{RequestId: "b", AccountId: "a", Amount: eur(100)})
	require.NoError(t, err)
	_, err = stockpb.NewStockServiceClient(dial(t, s.Service(stack.Stock).Internal)).
		PutItem(t.Context(), &stockpb.PutItemRequest{RequestId: "c", Sku: "s", Add: 1, Price: eur(100)})
	require.NoError(t, err)
	orders := orderpb.NewOrderServiceClient(dial(t, s.Service(stack.Order).Public))
	require.Eventually(t, func() bool {
		resp, err := orders.PlaceOrder(t.Context(), &orderpb.PlaceOrderRequest{
			RequestId: "d", AccountId: "a", Lines: []*orderpb.LineItem{{Sku: "s", Quantity: 1}}, CartLineIds: cartLines,
		})
		require.NoError(t, err)
		order = resp.GetOrder()
		return order.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED
	}, bound, pollPause)
	return order
}

// traceSink is a collector that keeps the names of the spans that it was sent, by trace.
type traceSink struct {
	collector.UnimplementedTraceServiceServer
	addr  string
	spans chan span
}

type span struct{ trace, name string }

func collect(t *testing.T) *traceSink {
	t.Helper()
	l := listen(t)
	sink := &traceSink{addr: l.Addr().String(), spans: make(chan span, 10_000)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, sink)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return sink
}

// Export implements the collector.
func (s *traceSink) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	for _, r := range req.GetResourceSpans() {
		for _, scope := range r.GetScopeSpans() {
			for _, one := range scope.GetSpans() {
				s.spans <- span{string(one.GetTraceId()), one.GetName()}
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// of returns the names of all spans of the trace that has a span of the name given, one a line.
func (s *traceSink) of(t *testing.T, name string) string {
	t.Helper()
	byTrace, wanted := make(map[string][]string), ""
	for len(s.spans) > 0 {
		one := <-s.spans
		byTrace[one.trace] = append(byTrace[one.trace], one.name)
		if one.name == name {
			wanted = one.trace
		}
	}
	require.NotEmpty(t, wanted, "no span %s", name)
	return strings.Join(byTrace[wanted], "\n")
}
