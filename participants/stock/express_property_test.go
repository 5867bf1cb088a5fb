package stock_test

import (
	"fmt"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// Whatever is put in, ordered, reserved and delivered again, in whatever order:
// the counts are a model's, so what was put in is always there, sold or reserved,
// and each order was taken as a whole or not at all, and answered once.
func TestExpressProperty(t *testing.T) {
	t.Parallel()
	eachTaker(t, func(t *testing.T, b *taker) {
		most := testserver.Volume(4, 100)
		if b.db.Dialect() == database.SQLite {
			most = testserver.Volume(20, 100)
		}
		n, failed := 0, false
		rapid.Check(t, func(rt *rapid.T) {
			// Enough, unless rapid looks for a shorter failure.
			if n++; n > most && !failed {
				return
			}
			failed = true
			r := &run{taker: b, ids: fmt.Sprintf("p%d-", n), items: make(map[string]counts), want: make(map[string]string)}
			for _, name := range []string{"a", "b"} {
				r.putSome(rt, r.ids+name)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"put":     func(rt *rapid.T) { r.putSome(rt, r.sku(rt)) },
				"order":   r.order,
				"again":   r.again,
				"reserve": r.reserve,
				"":        r.check,
			})
			r.checkAnswers(rt)
			failed = false
		})
	})
}

// run is one sequence of actions, on items of its own, and the model.
type run struct {
	*taker
	ids    string // what its SKUs begin with
	items  map[string]counts
	orders []*message.Message
	want   map[string]string // the outcome of each order
}

// counts are an item's pieces: available, reserved and sold.
type counts struct{ available, reserved, sold int64 }

func (r *run) sku(rt *rapid.T) string {
	return r.ids + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "sku")
}

func (r *run) putSome(rt *rapid.T, sku string) {
	n := rapid.Int64Range(0, 12).Draw(rt, "pieces")
	r.put(sku, n, 1)
	c := r.items[sku]
	c.available += n
	r.items[sku] = c
}

// order delivers an order for some items, perhaps for one in two lines.
func (r *run) order(rt *rapid.T) {
	var lines []*orderpb.LineItem
	after, outcome := make(map[string]counts), "CONFIRMED"
	for range rapid.IntRange(1, 4).Draw(rt, "lines") {
		sku, n := r.sku(rt), rapid.Int64Range(1, 5).Draw(rt, "quantity")
		lines = append(lines, item(sku, n))
		c, ok := after[sku]
		if !ok {
			c = r.items[sku]
		}
		c.available -= n
		c.sold += n
		after[sku] = c
		if c.available < 0 {
			outcome = "FAILED"
		}
	}
	if outcome == "CONFIRMED" {
		for sku, c := range after {
			r.items[sku] = c
		}
	}
	msg := ask(rt, lines...)
	r.orders, r.want[msg.UUID] = append(r.orders, msg), outcome
	require.NoError(rt, r.inbox.Handle(msg.Copy()))
}

// again delivers any order that was delivered before.
func (r *run) again(rt *rapid.T) {
	if len(r.orders) > 0 {
		require.NoError(rt, r.inbox.Handle(rapid.SampledFrom(r.orders).Draw(rt, "order").Copy()))
	}
}

// reserve has a branch of a global transaction come and go, or stay.
func (r *run) reserve(rt *rapid.T) {
	sku, n := r.sku(rt), rapid.Int64Range(1, 3).Draw(rt, "quantity")
	br, req := branch(), reserve(line(sku, n, 1))
	_, err := r.TryReserve(r.in(br, tcc.Try), req)
	c := r.items[sku]
	if c.available < n {
		require.Error(rt, err)
		return
	}
	require.NoError(rt, err)
	c.available -= n
	switch rapid.SampledFrom([]tcc.Phase{tcc.Try, tcc.Confirm, tcc.Cancel}).Draw(rt, "phase") {
	case tcc.Confirm:
		_, err = r.ConfirmReserve(r.in(br, tcc.Confirm), req)
		c.sold += n
	case tcc.Cancel:
		_, err = r.CancelReserve(r.in(br, tcc.Cancel), req)
		c.available += n
	default:
		c.reserved += n
	}
	require.NoError(rt, err)
	r.items[sku] = c
}

func (r *run) check(rt *rapid.T) {
	rows, err := r.db.SQL().QueryContext(r.t.Context(), "SELECT sku, available, reserved, sold FROM item WHERE sku LIKE ?", r.ids+"%")
	require.NoError(rt, err)
	defer rows.Close()
	got := make(map[string]counts)
	for rows.Next() {
		var sku string
		var c counts
		require.NoError(rt, rows.Scan(&sku, &c.available, &c.reserved, &c.sold))
		got[sku] = c
	}
	require.NoError(rt, rows.Err())
	require.Equal(rt, r.items, got)
}

func (r *run) checkAnswers(rt *rapid.T) {
	answers := r.answers()
	for _, msg := range r.orders {
		require.Len(rt, answers[msg.UUID], 1)
		require.Equal(rt, r.want[msg.UUID], answers[msg.UUID][0].outcome)
	}
}
