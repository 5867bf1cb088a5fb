package shoptest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/participants/order"
)

// step is one of the calls that PlaceOrder makes.
type step struct {
	name, method string
	// skip is how many calls of the method come before it.
	skip int
}

func steps() []step {
	const register, submit = "/dtmgimp.Dtm/RegisterBranch", "/dtmgimp.Dtm/Submit"
	return []step{
		{"quote", stockpb.StockService_ListItems_FullMethodName, 0},
		{"prepare", "/dtmgimp.Dtm/Prepare", 0},
		{"register order", register, 0},
		{"register account", register, 1},
		{"register stock", register, 2},
		{"try order", orderpb.OrderService_TryCreate_FullMethodName, 0},
		{"try account", accountpb.AccountService_TryDebit_FullMethodName, 0},
		{"try stock", stockpb.StockService_TryReserve_FullMethodName, 0},
		{"submit", submit, 0},
	}
}

// at has h handle the call of a step.
func (s step) at(w *wire, h hook) {
	for range s.skip {
		w.on(s.method, pass)
	}
	w.on(s.method, h)
}

// Whatever answer is lost, the same request again comes to one order and one
// debit.
func testLostAnswers(t *testing.T, s *shop) { testLost(t, s, loseAnswer) }

func testLostRequests(t *testing.T, s *shop) { testLost(t, s, loseRequest) }

func testLost(t *testing.T, s *shop, lose hook) {
	for _, step := range steps() {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			own := *s
			own.t = t
			s := &own
			a, sku := s.openAccount(1000), s.putItem(10, 100)
			r := s.newReplica()
			step.at(r.wire, lose)
			req := s.request(a, 1, sku)
			_, err := r.PlaceOrder(t.Context(), req)
			if err != nil {
				require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
			}
			require.Zero(t, r.wire.unused(), "the step was not reached")
			s.requireOneOrder(req, s.placeUntilDecided(r, req), 1000, 10)
		})
	}
}

// crashDeadline is that of a call whose order service dies: DTM aborts its
// transaction 10 s later.
const crashDeadline = 5 * time.Second

// The order service dies before or after each of its calls; another one gets
// the same request.
func testCrashes(t *testing.T, s *shop) {
	for _, step := range steps() {
		for when, crash := range map[string]func(*replica) hook{
			"before": func(r *replica) hook {
				return func(context.Context, func() error) error { r.kill(); return errLost }
			},
			"after": func(r *replica) hook {
				return func(_ context.Context, send func() error) error { _ = send(); r.kill(); return errLost }
			},
		} {
			t.Run(when+" "+step.name, func(t *testing.T) {
				t.Parallel()
				own := *s
				own.t = t
				s := &own
				a, sku := s.openAccount(1000), s.putItem(10, 100)
				r := s.newReplica()
				step.at(r.wire, crash(r))
				req := s.request(a, 1, sku)
				ctx, cancel := context.WithTimeout(t.Context(), crashDeadline)
				defer cancel()
				_, _ = r.PlaceOrder(ctx, req) // nobody hears the dead
				require.Zero(t, r.wire.unused(), "the step was not reached")
				s.requireOneOrder(req, s.placeUntilDecided(s.replica, req), 1000, 10)
			})
		}
	}
}

// The order service dies when prices have changed and its first attempt is
// undone.
func testCrashBetweenAttempts(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	r := s.newReplica()
	r.wire.on(stockpb.StockService_ListItems_FullMethodName, pass)
	r.wire.on(stockpb.StockService_TryReserve_FullMethodName, first(func() { s.put(sku, 0, eur(110)) }))
	r.wire.on(stockpb.StockService_ListItems_FullMethodName, func(context.Context, func() error) error { r.kill(); return errLost })
	req := s.request(a, 1, sku)
	ctx, cancel := context.WithTimeout(t.Context(), crashDeadline)
	defer cancel()
	_, _ = r.PlaceOrder(ctx, req)
	require.Zero(t, r.wire.unused())
	o := s.placeUntilDecided(s.replica, req)
	require.Equal(t, int64(110), o.GetTotal().GetAmount())
	s.requireOneOrder(req, o, 1000, 10)
}

// An attempt is so slow that another call takes over. Its Try comes then, and
// must not make a second order.
func testLateTry(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	slow := s.newReplica(func(cfg *order.Config) { cfg.Timeout = 30 * time.Second })
	req := s.request(a, 1, sku)
	held, goOn := make(chan struct{}), make(chan struct{})
	slow.wire.on(orderpb.OrderService_TryCreate_FullMethodName, first(func() { close(held); <-goOn }))
	answer := make(chan *orderpb.Order, 1)
	go func() {
		resp, err := slow.PlaceOrder(t.Context(), req)
		if err != nil {
			t.Errorf("%v", err)
		}
		answer <- resp.GetOrder()
	}()
	<-held
	// As if the lease had passed.
	s.passLease(req)
	resp, err := s.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	close(goOn)
	late := <-answer
	require.Equal(t, resp.GetOrder().GetOrderId(), late.GetOrderId(), "the slow call answers with the other one's order")
	s.requireOneOrder(req, resp.GetOrder(), 1000, 10)
}

func testAccountAway(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	r := s.newReplica(func(cfg *order.Config) { cfg.Timeout = time.Second })
	for range 100 {
		r.wire.on(accountpb.AccountService_TryDebit_FullMethodName, loseRequest)
	}
	req := s.request(a, 1, sku)
	_, err := r.PlaceOrder(t.Context(), req)
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	s.eventually(func() bool { return s.counts(sku) == [3]int64{10, 0, 0} }, "the stock given back")
	s.requireOneOrder(req, s.placeUntilDecided(s.replica, req), 1000, 10)
}

func testCallerGoesAway(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	r := s.newReplica()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.wire.on(stockpb.StockService_TryReserve_FullMethodName, func(ctx context.Context, send func() error) error {
		err := send()
		cancel()
		<-ctx.Done()
		return err
	})
	req := s.request(a, 1, sku)
	_, err := r.PlaceOrder(ctx, req)
	require.Equal(t, codes.Canceled, status.Code(err), "%v", err)
	s.requireOneOrder(req, s.placeUntilDecided(s.replica, req), 1000, 10)
}

func testCoordinatorAway(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	r := s.newReplica()
	for range 3 { // the client repeats a Prepare twice
		r.wire.on("/dtmgimp.Dtm/Prepare", loseRequest)
	}
	req := s.request(a, 1, sku)
	_, err := r.PlaceOrder(t.Context(), req)
	rpctest.RequireStatus(t, err, codes.Unavailable, "NOT_MADE")
	require.ErrorContains(t, err, "coordinator does not answer")
	require.Zero(t, r.wire.unused())
	s.requireOneOrder(req, s.placeUntilDecided(s.replica, req), 1000, 10)
}

// The answer to Submit is lost, and nobody can be asked what became of it.
func testOutcomeUnknown(t *testing.T, s *shop) {
	a, sku := s.openAccount(1000), s.putItem(10, 100)
	nobody, err := freeport.Loopback()
	require.NoError(t, err)
	w := newWire()
	client, err := coordinator.New(coordinator.Config{
		Conn: rpctest.Dial(t, s.dtm.GRPCAddr(), w.intercept), HTTPURL: fmt.Sprintf("http://127.0.0.1:%d", nobody), Keys: s.keys,
		SettleTimeout: 500 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	r := s.newReplica(func(cfg *order.Config) { cfg.Coordinator = client })
	w.on("/dtmgimp.Dtm/Submit", loseAnswer)
	req := s.request(a, 1, sku)
	resp, err := r.PlaceOrder(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, orderpb.OrderStatus_ORDER_STATUS_PENDING, resp.GetOrder().GetStatus())
	o := s.placeUntilDecided(s.replica, req)
	require.Equal(t, resp.GetOrder().GetOrderId(), o.GetOrderId())
	s.requireOneOrder(req, o, 1000, 10)
}

// The database commits what the order service never hears of.
func TestLostCommits(t *testing.T) {
	t.Parallel()
	skipShort(t)
	s := newShop(t, databasetest.MySQL)
	cfg, err := mysql.ParseDSN(s.orderDSN)
	require.NoError(t, err)
	for _, statement := range []string{
		"INSERT INTO order_request",
		"UPDATE order_request SET tried", // TryCreate, in one packet with BEGIN
	} {
		t.Run(statement, func(t *testing.T) {
			own := *s
			own.t = t
			s := &own
			proxy := testserver.NewProxy(t, cfg.Addr)
			through := cfg.Clone()
			through.Addr = proxy.Addr()
			r := s.newReplicaOn(through.FormatDSN())
			a, sku := s.openAccount(1000), s.putItem(10, 100)
			cut := proxy.CutAfter(statement)
			req := s.request(a, 1, sku)
			resp, err := r.PlaceOrder(t.Context(), req)
			require.NoError(t, err)
			cut.Wait()
			s.requireOneOrder(req, resp.GetOrder(), 1000, 10)
			testserver.NoOpenTransactions(t, cfg)
		})
	}
}
