package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd are clients that place one order after another. They share few accounts and items.
type crowd struct {
	shop  *shop
	rich  []*customer
	stop  context.CancelFunc
	tasks sync.WaitGroup
	ended chan error   // why a client has stopped
	final atomic.Int64 // answers
	yes   []atomic.Int64
}

func (s *shop) crowd(t *testing.T, clients int, seed uint64) *crowd {
	t.Helper()
	w := &crowd{shop: s, ended: make(chan error, clients), yes: make([]atomic.Int64, 3)}
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
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	t.Cleanup(cancel)
	for i := range clients {
		w.tasks.Go(func() { w.ended <- w.shopping(ctx, t, i, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	return w
}

// shopping places orders until ctx ends; the last one is placed to its end.
func (w *crowd) shopping(ctx context.Context, t *testing.T, client int, random *rand.Rand) error {
	for n := 0; ctx.Err() == nil; n++ {
		who := random.IntN(len(w.rich))
		one := *w.rich[who]
		one.requestID, one.quantity = fmt.Sprintf("request-%d-%d", client, n), 1+random.Int64N(3)
		a, err := one.finalInTime(t)
		if err = errors.Join(err, a.err); err != nil {
			return fmt.Errorf("request %s of %s: %w", one.requestID, one.account, err)
		}
		w.final.Add(1)
		w.yes[who].Add(1)
	}
	return nil
}

// progress waits until n more requests have their answer.
func (w *crowd) progress(t *testing.T, n int64) {
	t.Helper()
	from := w.final.Load()
	eventually(t, "the clients go on", func(context.Context) error {
		select {
		case err := <-w.ended:
			t.Fatalf("a client has stopped: %v", err)
		default:
		}
		if now := w.final.Load(); now < from+n {
			return fmt.Errorf("%d of %d requests were answered", now-from, n)
		}
		return nil
	})
}

// end ends the clients and checks that each request made one order.
func (w *crowd) end(t *testing.T) {
	t.Helper()
	w.stop()
	w.tasks.Wait()
	close(w.ended)
	for err := range w.ended {
		require.NoError(t, err)
	}
	w.shop.settled(t)
	for i, c := range w.rich {
		require.Equal(t, w.yes[i].Load(), w.shop.balance(t, c.account, c.deposited, c.sku, c.put))
	}
}
