package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd are clients that place one order after another. They share few accounts and items.
type crowd struct {
	*load
	shop *shop
	rich []*customer
	yes  []atomic.Int64
}

func (s *shop) crowd(t *testing.T, clients int, seed uint64) *crowd {
	t.Helper()
	w := &crowd{shop: s, yes: make([]atomic.Int64, 3)}
	for range len(w.yes) {
		n := s.customers.Add(1)
		c := &customer{
			shop: s, orders: s.orders, account: fmt.Sprintf("account-%d", n), sku: fmt.Sprintf("sku-%d", n),
			deposited: 1_000_000, put: 100_000, price: 9, callTimeout: 5 * time.Second,
		}
		s.open(t, c.account, c.deposited)
		s.put(t, c.sku, c.put, c.price)
		w.rich = append(w.rich, c)
	}
	w.load = startLoad(t, clients, 0, func(i int) func(context.Context, int) error {
		random := rand.New(rand.NewPCG(seed, uint64(i+1)))
		return func(_ context.Context, n int) error { return w.order(t, fmt.Sprintf("request-%d-%d", i, n), random) }
	})
	return w
}

// order places an order to its end.
func (w *crowd) order(t *testing.T, requestID string, random *rand.Rand) error {
	who := random.IntN(len(w.rich))
	one := *w.rich[who]
	one.requestID, one.quantity = requestID, 1+random.Int64N(3)
	a, err := one.finalInTime(t)
	if err = errors.Join(err, a.err); err == nil {
		w.yes[who].Add(1)
	}
	return err
}

// end ends the clients and checks that each request made one order.
func (w *crowd) end(t *testing.T) {
	t.Helper()
	w.load.end(t)
	w.shop.settled(t)
	for i, c := range w.rich {
		require.Equal(t, w.yes[i].Load(), w.shop.balance(t, c.account, c.deposited, c.sku, c.put))
	}
}
