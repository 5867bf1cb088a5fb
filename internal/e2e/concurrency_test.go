package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/testserver"
)

// TestSoldOut has 32 clients buy one item for one account until nothing is left: of the item, or of the money.
func TestSoldOut(t *testing.T) {
	const clients = 32
	pieces := int64(testserver.Volume(120, 1000))
	onEachStore(t, func(t *testing.T, store dtmStore) {
		s := newDirectShop(t, store.open(t))
		for _, c := range []struct {
			name           string
			deposited, put int64
			price          int64
			end            outcome
		}{
			{"of the item", 1_000_000, pieces, 7, outOfStock},
			{"of the money", pieces * 7, 1_000_000, 7, outOfBalance},
		} {
			t.Run(c.name, func(t *testing.T) {
				n := s.customers.Add(1)
				buyer := customer{
					shop: s, orders: s.orders, account: fmt.Sprintf("rich-%d", n), sku: fmt.Sprintf("hot-%d", n),
					deposited: c.deposited, put: c.put, price: c.price, outcome: c.end, callTimeout: 10 * time.Second,
				}
				s.open(t, buyer.account, c.deposited)
				s.put(t, buyer.sku, c.put, c.price)
				stop := watch(t, &buyer)
				errs := make([]error, clients)
				var all sync.WaitGroup
				for i := range clients {
					all.Go(func() { errs[i] = buyer.buyAll(t, i) })
				}
				all.Wait()
				require.NoError(t, errors.Join(errs...))
				stop()
				s.settled(t)
				orders := s.balance(t, buyer.account, c.deposited, buyer.sku, c.put)
				require.Positive(t, orders)
				spent, err := s.dbs[account].number(bounded(t), "SELECT spent FROM account WHERE account_id = ?", buyer.account)
				require.NoError(t, err)
				require.Equal(t, pieces*c.price, spent, "nothing may be left")
			})
		}
	})
}

// buyAll orders one to three pieces at a time, and single ones at the end, until it is told that none is
// left.
func (c *customer) buyAll(t testing.TB, client int) error {
	random := rand.New(rand.NewPCG(1, uint64(client)))
	single := false
	for n := 0; ; n++ {
		one := *c
		one.requestID = fmt.Sprintf("request-%d-%d", client, n)
		one.quantity = 1
		if !single {
			one.quantity += random.Int64N(3)
		}
		a, err := one.finalInTime(t)
		switch {
		case err != nil:
			return err
		case a.err == nil:
		case a.rejection() != string(c.outcome):
			return fmt.Errorf("request %s: %w", one.requestID, a.err)
		case one.quantity == 1:
			return nil
		default:
			single = true
		}
	}
}

// watch looks at the account and the item all the time until the function that it returns is called: at no
// time may anything be negative, or more or less than there was.
func watch(t testing.TB, c *customer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	var wrong error
	looks := 0
	watching.Go(func() {
		for ctx.Err() == nil && wrong == nil {
			wrong = errors.Join(
				c.shop.dbs[account].conserved(ctx, "SELECT available, frozen, spent FROM account WHERE account_id = ?", c.account, c.deposited),
				c.shop.dbs[stock].conserved(ctx, "SELECT available, reserved, sold FROM item WHERE sku = ?", c.sku, c.put))
			looks++
		}
	})
	return func() {
		t.Helper()
		cancel()
		watching.Wait()
		if wrong != nil && !errors.Is(wrong, context.Canceled) {
			t.Fatal(wrong)
		}
		require.Positive(t, looks)
	}
}

// conserved reads the three parts of a sum.
func (d *database) conserved(ctx context.Context, query, id string, sum int64) error {
	var left, held, gone int64
	if err := d.db.QueryRowContext(ctx, query, id).Scan(&left, &held, &gone); err != nil {
		return err
	}
	if left < 0 || held < 0 || gone < 0 || left+held+gone != sum {
		return fmt.Errorf("%s has %d available, %d set aside, %d gone: not a split of %d", id, left, held, gone, sum)
	}
	return nil
}

// TestSameRequestAtOnce sends each request several times at once to two order services on one database.
func TestSameRequestAtOnce(t *testing.T) {
	const (
		rounds = 10
		copies = 4 // to each of the two
	)
	onEachStore(t, func(t *testing.T, store dtmStore) {
		s := newDirectShop(t, store.open(t))
		second := s.another(t, order)
		clients := []orderpb.OrderServiceClient{s.orders, orderpb.NewOrderServiceClient(dial(t, second.public))}
		for round := range rounds {
			ends := []outcome{confirmed, confirmed, confirmed, outOfStock, outOfBalance}
			buyer := s.customer(t, ends[round%len(ends)])
			answers := make([]answer, copies*len(clients))
			errs := make([]error, len(answers))
			var all sync.WaitGroup
			ctx := bounded(t)
			for i := range answers {
				one := *buyer
				one.orders = clients[i%len(clients)]
				all.Go(func() { answers[i], errs[i] = one.final(ctx) })
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			for _, a := range answers {
				buyer.requireFinal(t, a)
				require.Equal(t, answers[0].order.GetOrderId(), a.order.GetOrderId())
			}
			s.settled(t)
			buyer.done(t)
		}
	})
}

// TestReusedRequestAtOnce sends two bodies under one request_id at once to two order services: one of them has
// it, and the other is told so.
func TestReusedRequestAtOnce(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newDirectShop(t, store.open(t))
		second := orderpb.NewOrderServiceClient(dial(t, s.another(t, order).public))
		for range 10 {
			buyer := s.customer(t, confirmed)
			other := *buyer
			other.quantity, other.orders = buyer.quantity+1, second
			first, next := buyer.place(t), other.place(t)
			a, b := first.wait(t), next.wait(t)
			if a.err != nil {
				a, b = b, a
			}
			require.NoError(t, a.err)
			require.Equal(t, codes.AlreadyExists, status.Code(b.err))
			require.Equal(t, "REQUEST_ID_REUSED", reason(b.err))
			s.settled(t)
			require.EqualValues(t, 1, s.balance(t, buyer.account, buyer.deposited, buyer.sku, buyer.put))
		}
	})
}
