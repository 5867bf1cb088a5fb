package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

// rollingClients is how many place orders while the replicas are restarted.
const rollingClients = 16

// TestRollingRestart restarts each of two replicas of every service, and of DTM, one after another, while clients
// fill carts and place orders, place express orders and send money from bank to bank. A call may be answered
// Unavailable and is then sent again; no other error is allowed. At the end each order is confirmed once, has one
// shipment and has left the cart, each express order is confirmed, each transfer credited, and the books balance.
func TestRollingRestart(t *testing.T) {
	onStores(t, func(t *testing.T, store dtmStore) {
		s := newRollingShop(t, store.open(t))
		crowd := s.clients(t)
		crowd.progress(t, rollingClients)
		for range testserver.Volume(1, 3) {
			names, restarts := s.restarts()
			for i, restart := range restarts {
				before, began := crowd.done.Load(), time.Now()
				restart(t, func() { crowd.progress(t, 1) }) // orders are placed while it is away
				t.Logf("%s restarted in %s, meanwhile %d orders", names[i], time.Since(began).Round(time.Millisecond), crowd.done.Load()-before)
				crowd.progress(t, rollingClients)
			}
		}
		crowd.end(t)
		t.Logf("%d orders; %d answers were Unavailable", crowd.done.Load(), crowd.unavailable.Load())
		s.settled(t)
		s.audit(t, crowd)
	}, dtmStore{"redis", -1, func(t testing.TB) dtmserver.Store {
		keys := testserver.Redis(t)
		return dtmserver.Redis(keys.Addr, keys.Prefix)
	}})
}

// rollingCrowd are clients, each with an account, items, a cart and accounts at the banks of its own.
type rollingCrowd struct {
	*load
	customers   []*customer
	orders      []atomic.Int64 // by customer
	unavailable atomic.Int64
}

func (s *rollingShop) clients(t *testing.T) *rollingCrowd {
	t.Helper()
	w := &rollingCrowd{orders: make([]atomic.Int64, rollingClients)}
	for range rollingClients {
		c := s.customer(t, confirmed)
		c.account, c.sku, c.deposited, c.put, c.price = c.account+"-rich", c.sku+"-plenty", 1_000_000, 100_000, 3
		c.orders, c.callTimeout = s.public(t), bound
		s.open(t, c.account, c.deposited)
		s.put(t, c.sku, c.put, c.price)
		s.openByMessage(t, c)
		w.customers = append(w.customers, c)
	}
	w.load = startLoad(t, rollingClients, orderPause, func(i int) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			err := w.shop(ctx, s, *w.customers[i], n)
			if err == nil {
				err = w.byMessage(ctx, s, w.customers[i], n)
			}
			if err == nil {
				w.orders[i].Add(1)
			}
			return err
		}
	})
	return w
}

// shop puts a line into the cart and orders it, to the end.
func (w *rollingCrowd) shop(ctx context.Context, s *rollingShop, c customer, n int) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	c.requestID = fmt.Sprintf("order-%d", n)
	err := w.persist(ctx, func() error {
		resp, err := s.carts.AddItem(ctx, &cartpb.AddItemRequest{RequestId: "line-" + c.requestID, AccountId: c.account, Sku: c.sku, Quantity: c.quantity})
		c.cart = []string{resp.GetLine().GetLineId()}
		return err
	})
	if err != nil {
		return fmt.Errorf("cart: %w", err)
	}
	return w.persist(ctx, func() error {
		switch a := c.ask(ctx); {
		case a.err != nil:
			return a.err
		case a.order.GetStatus() == orderpb.OrderStatus_ORDER_STATUS_PENDING:
			return errPending
		case a.order.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED:
			return fmt.Errorf("it is %s", a.order.GetStatus())
		default:
			return nil
		}
	})
}

// errPending says that an order is accepted and not confirmed yet.
var errPending = errors.New("PENDING")

// persist makes a call again while it is answered Unavailable, or the order is PENDING.
func (w *rollingCrowd) persist(ctx context.Context, call func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := call()
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errPending):
		case status.Code(err) == codes.Unavailable:
			w.unavailable.Add(1)
		default:
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// audit waits until everything has followed the orders, and checks that it did so once.
func (s *rollingShop) audit(t *testing.T, w *rollingCrowd) {
	t.Helper()
	orders := w.done.Load()
	eventuallyWithin(t, followBound, "everything has followed", func(ctx context.Context) error {
		return errors.Join(append((&followedShop{shop: s.shop}).unsettledMessages(ctx),
			s.count(ctx, dispatch, "SELECT COUNT(*) FROM shipment", orders),
			s.count(ctx, dispatch, "SELECT COUNT(DISTINCT order_id) FROM shipment", orders),
			s.count(ctx, cart, "SELECT COUNT(*) FROM cart_line", 0),
			s.count(ctx, cart, "SELECT COUNT(*) FROM inbox WHERE state = 1", orders),
			s.count(ctx, express, "SELECT COUNT(*) FROM express_order WHERE status = 2", orders),
			s.count(ctx, bankOf(north), "SELECT COUNT(*) FROM transfer WHERE status = 1", 0),
			s.count(ctx, bankOf(south), "SELECT COUNT(*) FROM transfer WHERE status = 1", 0))...)
	})
	require.NoError(t, errors.Join(
		s.count(bounded(t), order, "SELECT COUNT(*) FROM orders WHERE status = 2", orders),
		s.count(bounded(t), order, "SELECT COUNT(*) FROM outbox", orders),
		s.count(bounded(t), express, "SELECT COUNT(*) FROM express_order", orders),
		s.count(bounded(t), stock, "SELECT COUNT(*) FROM inbox", orders),
	))
	for i, c := range w.customers {
		n := w.orders[i].Load()
		require.Equal(t, n, s.balance(t, c.account, c.deposited, c.sku, c.put), c.account)
		s.auditExpress(t, c, n)
		s.auditTransfers(t, c, n)
	}
}

// count says if a query does not give the number.
func (s *rollingShop) count(ctx context.Context, in, query string, want int64) error {
	n, err := s.dbs[in].number(ctx, query)
	if err == nil && n != want {
		err = fmt.Errorf("%s: %s: %d, want %d", in, query, n, want)
	}
	return err
}
