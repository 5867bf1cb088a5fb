package shoptest

import (
	"context"
	"flag"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/branchview"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/account"
	"github.com/tcckit/tcckit/participants/order"
	"github.com/tcckit/tcckit/participants/stock"
	"github.com/tcckit/tcckit/tcc"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Many tests wait for DTM's timeouts rather than compute.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// bound is how long a test waits for what takes milliseconds, or, where DTM has
// to time out, seconds.
const bound = 2 * time.Minute

// shop is the three services with a database each, and a DTM server.
type shop struct {
	t                  *testing.T
	keys               *tcc.Keyring
	dtm                *dtmserver.Server
	orderDSN           string
	accountAt, stockAt string
	stockDB            *database.DB
	orderAt            string // where DTM reaches the order services: the first of them
	Account            accountpb.AccountServiceClient
	Stock              stockpb.StockServiceClient
	// holds makes phases wait at their participant.
	holds *holds
	// *replica is the first order service.
	*replica
}

// replica is one of the order services.
type replica struct {
	orderpb.OrderServiceClient
	wire    *wire
	service *order.Service
	db      *database.DB
	// kill makes it as good as dead: it reaches neither its database nor
	// anybody else.
	kill func()
}

// each runs the cases on a shop of each kind of database; they share it.
func each(t *testing.T, cases map[string]func(t *testing.T, s *shop)) {
	t.Helper()
	skipShort(t)
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, kind)
			for name, test := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					own := *s
					own.t = t
					test(t, &own)
				})
			}
		})
	}
}

func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs dtm-server, which -short leaves out")
	}
}

func newShop(t *testing.T, kind databasetest.Kind) *shop {
	t.Helper()
	keys, err := tcc.NewKeyring("k", map[string][]byte{"k": make([]byte, tcc.MinKeyLen)})
	require.NoError(t, err)
	s := &shop{t: t, keys: keys, dtm: startDTM(t), holds: &holds{gates: make(map[string]chan struct{})}}

	dsn := databasetest.DSN(t, kind)
	databasetest.Migrate(t, dsn, account.Migrations())
	accountDB := databasetest.Open(t, dsn, account.Migrations())
	accounts, err := account.New(account.Config{DB: accountDB})
	require.NoError(t, err)
	s.accountAt = s.serve(func(r grpc.ServiceRegistrar) {
		accountpb.RegisterAccountServiceServer(r, &heldAccount{Service: accounts, holds: s.holds})
		showBranches(t, r, "account", accountDB)
	})
	s.Account = accountpb.NewAccountServiceClient(rpctest.Dial(t, s.accountAt))

	dsn = databasetest.DSN(t, kind)
	databasetest.Migrate(t, dsn, stock.Migrations())
	s.stockDB = databasetest.Open(t, dsn, stock.Migrations())
	goods, err := stock.New(stock.Config{DB: s.stockDB})
	require.NoError(t, err)
	s.stockAt = s.serve(func(r grpc.ServiceRegistrar) {
		goods.Register(r)
		showBranches(t, r, "stock", s.stockDB)
	})
	s.Stock = stockpb.NewStockServiceClient(rpctest.Dial(t, s.stockAt))

	s.orderDSN = databasetest.DSN(t, kind)
	databasetest.Migrate(t, s.orderDSN, order.Migrations())
	s.replica = s.newReplica()
	return s
}

func showBranches(t *testing.T, r grpc.ServiceRegistrar, participant string, db *database.DB) {
	t.Helper()
	store, ok := db.Barrier().(branchview.Store)
	require.True(t, ok)
	view := branchview.New()
	view.Add(participant, store)
	view.Register(r)
}

// serve serves on a free port, which it returns.
func (s *shop) serve(register func(grpc.ServiceRegistrar)) (addr string) {
	s.t.Helper()
	l := rpctest.Listener(s.t)
	rpctest.Serve(s.t, l, rpc.ServerConfig{Keys: s.keys, Logger: databasetest.Logger(s.t)}, register)
	return l.Addr().String()
}

// startDTM starts a DTM server on boltdb; the end of the test kills it.
func startDTM(t *testing.T) *dtmserver.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "tcckit-shop-") // not t.TempDir: the server writes until it is killed
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	d, err := dtmserver.Start(t.Context(), dtmserver.Config{Dir: dir, Env: []string{"TRANS_CRON_INTERVAL=1"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Kill()) })
	return d
}

// newReplica starts an order service on the shop's order database.
func (s *shop) newReplica(change ...func(*order.Config)) *replica {
	s.t.Helper()
	return s.newReplicaOn(s.orderDSN, change...)
}

func (s *shop) newReplicaOn(dsn string, change ...func(*order.Config)) *replica {
	s.t.Helper()
	t, w := s.t, newWire()
	db := databasetest.Open(t, dsn, order.Migrations())
	client, err := coordinator.New(coordinator.Config{
		Conn: rpctest.Dial(t, s.dtm.GRPCAddr(), w.intercept), HTTPURL: s.dtm.HTTPURL(), Keys: s.keys,
		RetryInterval: time.Second, SettleTimeout: time.Second, Logger: databasetest.Logger(t),
	})
	require.NoError(t, err)
	l := rpctest.Listener(t)
	self := l.Addr().String()
	if s.orderAt == "" {
		s.orderAt = self
	}
	cfg := order.Config{
		DB: db, Coordinator: client, Logger: databasetest.Logger(t),
		Order:   order.Peer{Conn: rpctest.Dial(t, self, w.intercept), Target: s.orderAt},
		Account: order.Peer{Conn: rpctest.Dial(t, s.accountAt, w.intercept), Target: s.accountAt},
		Stock:   order.Peer{Conn: rpctest.Dial(t, s.stockAt, w.intercept), Target: s.stockAt},
		// No test depends on how fast the machine is, unless it changes them.
		Timeout: 30 * time.Second, AnswerWait: 30 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	service, err := order.New(cfg)
	require.NoError(t, err)
	rpctest.Serve(t, l, rpc.ServerConfig{Keys: s.keys, Logger: databasetest.Logger(t)}, service.Register)
	return &replica{
		OrderServiceClient: orderpb.NewOrderServiceClient(rpctest.Dial(t, self)), wire: w, service: service, db: db,
		kill: func() {
			w.kill()
			_ = db.Close()
		},
	}
}

var serial atomic.Int64

// id returns a name that no other test uses.
func (s *shop) id(prefix string) string { return prefix + "-" + strconv.FormatInt(serial.Add(1), 10) }

func eur(n int64) *commonpb.Money { return &commonpb.Money{Amount: n, Currency: "EUR"} }

// openAccount opens an account in EUR with something in it.
func (s *shop) openAccount(amount int64) (id string) {
	s.t.Helper()
	id = s.id("account")
	_, err := s.Account.OpenAccount(s.t.Context(), &accountpb.OpenAccountRequest{RequestId: s.id("r"), AccountId: id, Currency: "EUR"})
	require.NoError(s.t, err)
	if amount > 0 {
		_, err = s.Account.Deposit(s.t.Context(), &accountpb.DepositRequest{RequestId: s.id("r"), AccountId: id, Amount: eur(amount)})
		require.NoError(s.t, err)
	}
	return id
}

// putItem puts pieces of a new item in, at a price in EUR.
func (s *shop) putItem(n, price int64) (sku string) {
	s.t.Helper()
	sku = s.id("sku")
	s.put(sku, n, eur(price))
	return sku
}

func (s *shop) put(sku string, n int64, price *commonpb.Money) {
	s.t.Helper()
	_, err := s.Stock.PutItem(s.t.Context(), &stockpb.PutItemRequest{RequestId: s.id("r"), Sku: sku, Add: n, Price: price})
	require.NoError(s.t, err)
}

// sums are what lies in an account: available, frozen, spent.
func (s *shop) sums(id string) [3]int64 {
	s.t.Helper()
	resp, err := s.Account.GetAccount(s.t.Context(), &accountpb.GetAccountRequest{AccountId: id})
	require.NoError(s.t, err)
	a := resp.GetAccount()
	return [3]int64{a.GetAvailable(), a.GetFrozen(), a.GetSpent()}
}

// counts are how many pieces of an item there are: available, reserved, sold.
func (s *shop) counts(sku string) [3]int64 {
	s.t.Helper()
	resp, err := s.Stock.GetItem(s.t.Context(), &stockpb.GetItemRequest{Sku: sku})
	require.NoError(s.t, err)
	item := resp.GetItem()
	return [3]int64{item.GetAvailable(), item.GetReserved(), item.GetSold()}
}

// request is a request for n pieces each of some items.
func (s *shop) request(account string, n int64, skus ...string) *orderpb.PlaceOrderRequest {
	req := &orderpb.PlaceOrderRequest{RequestId: s.id("request"), AccountId: account}
	for _, sku := range skus {
		req.Lines = append(req.Lines, &orderpb.LineItem{Sku: sku, Quantity: n})
	}
	return req
}

// placeUntilDecided sends the same request, as the API says, until it is
// answered with a confirmed order.
func (s *shop) placeUntilDecided(r *replica, req *orderpb.PlaceOrderRequest) *orderpb.Order {
	s.t.Helper()
	var last any
	for end := time.Now().Add(bound); time.Now().Before(end); {
		resp, err := r.PlaceOrder(s.t.Context(), req)
		switch {
		case status.Code(err) == codes.Unavailable:
			last = err
		case err != nil:
			require.NoError(s.t, err)
		case resp.GetOrder().GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED:
			return resp.GetOrder()
		default:
			require.Equal(s.t, orderpb.OrderStatus_ORDER_STATUS_PENDING, resp.GetOrder().GetStatus())
			last = resp
		}
		s.pause()
	}
	s.t.Fatalf("not decided within %s; the last answer: %v", bound, last)
	return nil
}

func (s *shop) pause() {
	select {
	case <-time.After(50 * time.Millisecond):
	case <-s.t.Context().Done():
	}
}

// eventually requires a condition to come true.
func (s *shop) eventually(condition func() bool, message string) {
	s.t.Helper()
	for end := time.Now().Add(bound); !condition(); s.pause() {
		if time.Now().After(end) {
			s.t.Fatalf("not within %s: %s", bound, message)
		}
	}
}

// confirmedOrders are those of an account.
func (s *shop) confirmedOrders(account string) (found []*orderpb.Order) {
	s.t.Helper()
	resp, err := s.ListOrders(s.t.Context(), &orderpb.ListOrdersRequest{AccountId: account, PageSize: 1000})
	require.NoError(s.t, err)
	for _, o := range resp.GetOrders() {
		if o.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
			found = append(found, o)
		}
	}
	return found
}

// requireOneOrder requires that a request came to one order, paid and reserved
// once, and that nothing else of it is left.
func (s *shop) requireOneOrder(req *orderpb.PlaceOrderRequest, o *orderpb.Order, balance, pieces int64) {
	s.t.Helper()
	require.Equal(s.t, req.GetRequestId(), o.GetRequestId())
	account, sku, n := req.GetAccountId(), req.GetLines()[0].GetSku(), req.GetLines()[0].GetQuantity()
	total := o.GetTotal().GetAmount()
	s.eventually(func() bool { return s.sums(account) == [3]int64{balance - total, 0, total} }, "one debit")
	s.eventually(func() bool { return s.counts(sku) == [3]int64{pieces - n, 0, n} }, "one reservation")
	confirmed := s.confirmedOrders(account)
	require.Len(s.t, confirmed, 1)
	require.Equal(s.t, o.GetOrderId(), confirmed[0].GetOrderId())
}

// holds makes the Confirms of accounts' debits wait.
type holds struct {
	mu    sync.Mutex
	gates map[string]chan struct{} // by account
}

// hold holds the Confirms of an account's debits until release.
func (h *holds) hold(account string) (release func()) {
	gate := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gates[account] = gate
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.gates, account)
		close(gate)
	}
}

// wait returns nil at once if nothing is held.
func (h *holds) wait(ctx context.Context, account string) error {
	h.mu.Lock()
	gate := h.gates[account]
	h.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heldAccount is the account service behind holds.
type heldAccount struct {
	*account.Service
	holds *holds
}

func (h *heldAccount) ConfirmDebit(ctx context.Context, req *accountpb.DebitRequest) (*accountpb.ConfirmDebitResponse, error) {
	if err := h.holds.wait(ctx, req.GetAccountId()); err != nil {
		return nil, err
	}
	return h.Service.ConfirmDebit(ctx, req)
}

// passLease makes the lease of a request's attempt pass.
func (s *shop) passLease(req *orderpb.PlaceOrderRequest) {
	s.t.Helper()
	db := databasetest.Open(s.t, s.orderDSN, order.Migrations())
	rows, err := db.Exec(s.t.Context(), "UPDATE order_request SET lease_until = 0 WHERE account_id = ? AND request_id = ?", req.GetAccountId(), req.GetRequestId())
	require.NoError(s.t, err)
	require.Equal(s.t, int64(1), rows)
}
