package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/tcc"
)

// TestPriceChanged changes a price between an order's quote and its TryReserve: once, and the order is made
// at the new price; twice, and it is rejected.
func TestPriceChanged(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newShop(t, store.open(t))
		for i, end := range []outcome{confirmed, "PRICE_CHANGED"} {
			times := i + 1
			t.Run(fmt.Sprintf("%d times", times), func(t *testing.T) {
				buyer := s.customer(t, confirmed)
				buyer.outcome = end
				points := make([]*point, times)
				for n := range points {
					points[n] = s.relays[stock].hold(before, method(stock, tcc.Try))
				}
				call := buyer.place(t)
				for _, p := range points {
					p.wait(t)
					buyer.price++
					_, err := s.stocks.PutItem(bounded(t), &stockpb.PutItemRequest{
						RequestId: fmt.Sprintf("%s-at-%d", buyer.sku, buyer.price), Sku: buyer.sku, Price: money(buyer.price),
					}, ready())
					require.NoError(t, err)
					p.release()
				}
				call.wait(t)
				buyer.again(t)
				s.settled(t)
				buyer.done(t)
			})
		}
	})
}
