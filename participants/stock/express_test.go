package stock_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/participants/stock"
	"github.com/tcckit/tcckit/tcc"
)

// taker is the service's inbox for express orders. The test is the express
// service, and relay and broker.
type taker struct {
	*bundle
	inbox *inbox.Inbox
}

func eachTaker(t *testing.T, test func(t *testing.T, b *taker)) {
	t.Helper()
	each(t, func(t *testing.T, b *bundle) {
		dialect := messaging.Dialect(b.db.Dialect())
		out, err := outbox.New(t.Context(), outbox.Config{DB: b.db.SQL(), Dialect: dialect, Logger: databasetest.Logger(t)})
		require.NoError(t, err)
		service, err := stock.New(stock.Config{DB: b.db, Outbox: out})
		require.NoError(t, err)
		consumers := service.Consumers()
		require.Len(t, consumers, 1)
		c := consumers[0]
		require.Equal(t, event.TopicExpressTake, c.Topic)
		in, err := inbox.New(t.Context(), inbox.Config{DB: b.db.SQL(), Dialect: dialect, Consumer: c.Name, Topic: c.Topic, Handler: c.Handler, Logger: databasetest.Logger(t)})
		require.NoError(t, err)
		test(t, &taker{bundle: b, inbox: in})
	})
}

func item(sku string, n int64) *orderpb.LineItem { return &orderpb.LineItem{Sku: sku, Quantity: n} }

// ask is the message of an express order.
func ask(t require.TestingT, lines ...*orderpb.LineItem) *message.Message {
	id := uuid.NewString()
	payload, err := event.Encode(&expresspb.TakeRequested{OrderId: id, Lines: lines})
	require.NoError(t, err)
	msg := message.NewMessage(id, payload)
	msg.Metadata.Set(messaging.MetadataResultTopic, event.TopicExpressResult)
	return msg
}

// answer is a result in the outbox.
type answer struct{ outcome, reason string }

// answers reads the results in the outbox, by the message that they are of.
func (b *taker) answers() map[string][]answer {
	b.t.Helper()
	rows, err := b.db.SQL().QueryContext(b.t.Context(), "SELECT topic, metadata FROM outbox ORDER BY seq")
	require.NoError(b.t, err)
	defer rows.Close()
	found := make(map[string][]answer)
	for rows.Next() {
		var topic string
		var raw []byte
		var metadata message.Metadata
		require.NoError(b.t, rows.Scan(&topic, &raw))
		require.Equal(b.t, event.TopicExpressResult, topic)
		require.NoError(b.t, json.Unmarshal(raw, &metadata))
		of := metadata.Get(messaging.MetadataResultOf)
		found[of] = append(found[of], answer{metadata.Get(messaging.MetadataOutcome), metadata.Get(messaging.MetadataReason)})
	}
	require.NoError(b.t, rows.Err())
	return found
}

// take delivers an order and requires one answer to it.
func (b *taker) take(msg *message.Message, outcome, reason string) {
	b.t.Helper()
	for range 2 {
		require.NoError(b.t, b.inbox.Handle(msg.Copy()))
	}
	require.Equal(b.t, []answer{{outcome, reason}}, b.answers()[msg.UUID])
}

func TestExpressTakesAllLinesOrNone(t *testing.T) {
	t.Parallel()
	eachTaker(t, func(t *testing.T, b *taker) {
		b.put("a", 10, 100)
		b.put("b", 5, 20)
		b.take(ask(t, item("b", 2), item("a", 3)), "CONFIRMED", "")
		b.take(ask(t, item("a", 1)), "CONFIRMED", "")
		b.requireCounts("a", 6, 0, 4)
		b.requireCounts("b", 3, 0, 2)
		for reason, lines := range map[string][]*orderpb.LineItem{
			"INSUFFICIENT_STOCK: 3 of b are available, 4 are needed": {item("b", 4), item("a", 1)},
			"INSUFFICIENT_STOCK: 6 of a are available, 7 are needed": {item("a", 7)},
			"UNKNOWN_SKU: there is no item none":                     {item("none", 1), item("a", 1), item("b", 1)},
			"UNKNOWN_SKU: there is no item B":                        {item("B", 1)},
		} {
			b.take(ask(t, lines...), "FAILED", reason)
			b.requireCounts("a", 6, 0, 4)
			b.requireCounts("b", 3, 0, 2)
		}
	})
}

func TestExpressTakesNothingThatIsReserved(t *testing.T) {
	t.Parallel()
	eachTaker(t, func(t *testing.T, b *taker) {
		b.put("a", 5, 1)
		br := branch()
		_, err := b.TryReserve(b.in(br, tcc.Try), reserve(line("a", 4, 1)))
		require.NoError(t, err)
		b.take(ask(t, item("a", 2)), "FAILED", "INSUFFICIENT_STOCK: 1 of a are available, 2 are needed")
		_, err = b.CancelReserve(b.in(br, tcc.Cancel), reserve(line("a", 4, 1)))
		require.NoError(t, err)
		b.take(ask(t, item("a", 2)), "CONFIRMED", "")
		b.requireCounts("a", 3, 0, 2)
	})
}

// More orders than there are goods for, with lines in different orders, each
// delivered several times, beside orders by TCC.
func TestExpressOrdersAtOnce(t *testing.T) {
	t.Parallel()
	eachTaker(t, func(t *testing.T, b *taker) {
		const pieces, orders = 12, 16
		b.put("a", pieces, 1)
		b.put("b", pieces, 1)
		var all sync.WaitGroup
		for i := range orders {
			msg := ask(t, item("a", 1), item("b", 1))
			if i%2 == 1 {
				msg = ask(t, item("b", 1), item("a", 1))
			}
			for range 2 {
				all.Go(func() {
					if err := b.inbox.Handle(msg.Copy()); err != nil {
						t.Errorf("%v", err)
					}
				})
			}
			all.Go(func() {
				br, req := branch(), reserve(line("b", 1, 1), line("a", 1, 1))
				_, _ = b.TryReserve(b.in(br, tcc.Try), req)
				if err := untilAvailable(func() error { _, err := b.CancelReserve(b.in(br, tcc.Cancel), req); return err }); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		b.runUntil(func() bool { return len(b.answers()) == orders })
		var sold int64
		for id, got := range b.answers() {
			require.Len(t, got, 1, id)
			if got[0].outcome == "CONFIRMED" {
				sold++
			}
		}
		require.Positive(t, sold)
		b.requireCounts("a", pieces-sold, 0, sold)
		b.requireCounts("b", pieces-sold, 0, sold)
	})
}

func TestExpressGivesUpWhatItCannotAnswer(t *testing.T) {
	t.Parallel()
	eachTaker(t, func(t *testing.T, b *taker) {
		b.put("a", 5, 1)
		silent := ask(t, item("a", 1))
		delete(silent.Metadata, messaging.MetadataResultTopic)
		for text, msg := range map[string]*message.Message{
			"names no topic for the result":      silent,
			"is no tcckit.express.v1":            message.NewMessage(uuid.NewString(), []byte("{")),
			"is no valid tcckit.express.v1":      ask(t),
			"lines[0].quantity: must be greater": ask(t, item("a", -1)),
		} {
			require.NoError(t, b.inbox.Handle(msg))
			row, err := inbox.Get(t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), "stock-express", msg.UUID)
			require.NoError(t, err)
			require.Equal(t, inbox.Dead, row.State)
			require.Contains(t, row.LastError, text)
		}
		require.Empty(t, b.answers())
		b.requireCounts("a", 5, 0, 0)
	})
}

func TestWithoutAnOutboxThereAreNoExpressOrders(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		service, err := stock.New(stock.Config{DB: b.db})
		require.NoError(t, err)
		require.Empty(t, service.Consumers())
	})
}

// runUntil has the inbox try again what is parked, until done returns true.
func (b *taker) runUntil(done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.inbox.Run(ctx) })
	defer running.Wait()
	defer cancel()
	require.Eventually(b.t, done, 20*time.Second, 5*time.Millisecond)
}
