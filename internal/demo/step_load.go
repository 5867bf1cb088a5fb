package demo

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

const (
	loadOrders  = 200
	loadClients = 8
	loadItems   = 4
	loadPrice   = 250
)

// Many orders at once, on accounts and items that they share.
func (d *demo) load(ctx context.Context) error {
	accounts, skus := make([]string, loadClients), make([]string, loadItems)
	for i := range accounts {
		accounts[i] = d.shop.name(fmt.Sprintf("customer-%d", i+1))
		if err := d.shop.open(ctx, accounts[i], 10_000_000); err != nil {
			return err
		}
	}
	for i := range skus {
		skus[i] = d.shop.name(fmt.Sprintf("biscuit-%d", i+1))
		if err := d.shop.supply(ctx, skus[i], loadPrice, 10_000); err != nil {
			return err
		}
	}
	d.print.line("%d clients place %d orders, on %d accounts and %d items.", loadClients, loadOrders, len(accounts), len(skus))
	latencies, took, err := d.placeMany(ctx, accounts, skus)
	if err != nil {
		return err
	}
	count := 0
	for _, account := range accounts {
		orders, err := d.shop.list(ctx, account)
		if err != nil {
			return err
		}
		for _, o := range orders {
			if o.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
				return fmt.Errorf("order %s of %s is %s", o.GetOrderId(), account, o.GetStatus())
			}
		}
		count += len(orders)
	}
	if count != loadOrders {
		return fmt.Errorf("there are %d orders, it must be %d", count, loadOrders)
	}
	at := func(percent float64) string {
		return (time.Duration(latencies.ValueAtQuantile(percent)) * time.Microsecond).Round(100 * time.Microsecond).String()
	}
	d.print.line("p50 %s   p95 %s   p99 %s   longest %s", at(50), at(95), at(99), at(100))
	d.print.held("%d orders are CONFIRMED, %.0f a second", count, loadOrders/took.Seconds())
	return nil
}

// placeMany places the orders and returns when all are confirmed.
func (d *demo) placeMany(ctx context.Context, accounts, skus []string) (*hdrhistogram.Histogram, time.Duration, error) {
	histograms := make([]*hdrhistogram.Histogram, loadClients)
	var next, done atomic.Int64
	begin := time.Now()
	clients, ctx := errgroup.WithContext(ctx)
	for client := range loadClients {
		histograms[client] = newHistogram()
		clients.Go(func() error {
			for n := next.Add(1); n <= loadOrders; n = next.Add(1) {
				start := time.Now()
				order, err := d.shop.place(ctx, d.shop.name(fmt.Sprintf("load-%d", n)), accounts[int(n)%len(accounts)], skus[int(n/2)%len(skus)], 1+n%3)
				if err != nil {
					return fmt.Errorf("order %d: %w", n, err)
				}
				if order.GetStatus() != orderpb.OrderStatus_ORDER_STATUS_CONFIRMED {
					if _, err := d.shop.confirmed(ctx, order.GetOrderId()); err != nil {
						return err
					}
				}
				if err := histograms[client].RecordValue(time.Since(start).Microseconds()); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	shown := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(shown)
		d.showProgress(&done, stop)
	}()
	err := clients.Wait()
	took := time.Since(begin)
	close(stop)
	<-shown
	all := newHistogram()
	for _, h := range histograms {
		all.Merge(h)
	}
	return all, took, err
}

// showProgress draws the bar until stop is closed.
func (d *demo) showProgress(done *atomic.Int64, stop <-chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	draw := func() {
		n := int(done.Load())
		d.print.progress(n, loadOrders, fmt.Sprintf("%.0f a second", float64(n)/time.Since(begin).Seconds()))
	}
	for {
		select {
		case <-stop:
			draw()
			d.print.endProgress()
			return
		case <-tick.C:
			draw()
		}
	}
}

// newHistogram counts microseconds up to the longest time that a call may take.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (callTimeout + patience).Microseconds(), 3)
}
