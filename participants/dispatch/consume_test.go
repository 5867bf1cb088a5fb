package dispatch_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

const (
	pending   = orderpb.OrderStatus_ORDER_STATUS_PENDING
	ok        = orderpb.OrderStatus_ORDER_STATUS_CONFIRMED
	cancelled = orderpb.OrderStatus_ORDER_STATUS_CANCELLED
)

// patience bounds each wait.
const patience = time.Minute

// box is the inbox of the service's consumer. Until the test ends it tries
// again, soon, what failed.
func (b *bundle) box() *inbox.Inbox {
	b.t.Helper()
	consumers := b.service.Consumers()
	require.Len(b.t, consumers, 1)
	require.Equal(b.t, event.TopicOrderConfirmed, consumers[0].Topic)
	box, err := inbox.New(b.t.Context(), inbox.Config{
		DB: b.db.SQL(), Dialect: messaging.Dialect(b.db.Dialect()),
		Consumer: consumers[0].Name, Topic: consumers[0].Topic, Handler: consumers[0].Handler,
		MaxTries: 3, Backoff: inbox.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
		Logger: databasetest.Logger(b.t),
	})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); box.Run(ctx) }()
	b.t.Cleanup(func() { cancel(); <-done })
	return box
}

func encode(t *testing.T, e *orderpb.OrderConfirmed) *message.Message {
	t.Helper()
	payload, err := event.Encode(e)
	require.NoError(t, err)
	return message.NewMessage(event.ID(event.TopicOrderConfirmed, e.GetOrderId()), payload)
}

// shipments are those of ann.
func (b *bundle) shipments() []*pb.Shipment {
	b.t.Helper()
	resp, err := b.ListShipments(b.t.Context(), &pb.ListShipmentsRequest{AccountId: "ann"})
	require.NoError(b.t, err)
	return resp.GetShipments()
}

// requireRow waits until the row of a message is in a state.
func (b *bundle) requireRow(state inbox.State, msg *message.Message) inbox.Row {
	b.t.Helper()
	var row inbox.Row
	require.Eventually(b.t, func() bool {
		found, err := inbox.Get(b.t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), "dispatch", msg.UUID)
		if err == nil {
			row = found
		}
		return err == nil && row.State == state
	}, patience, 5*time.Millisecond, "%v", &row)
	return row
}

func TestAConfirmedOrderIsShipped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		b.orders.keep(e, ok)
		told := proto.CloneOf(e)
		told.AccountId, told.Lines = "eve", told.GetLines()[:1]
		require.NoError(t, b.box().Handle(encode(t, told)))
		resp, err := b.GetShipment(t.Context(), &pb.GetShipmentRequest{OrderId: "o-1"})
		require.NoError(t, err)
		got := resp.GetShipment()
		require.NoError(t, uuid.Validate(got.GetShipmentId()))
		require.True(t, got.GetCreateTime().IsValid())
		got.ShipmentId, got.CreateTime = "", nil
		want := &pb.Shipment{OrderId: "o-1", AccountId: "ann", Lines: []*pb.ShipmentLine{{Sku: "pear", Quantity: 3}, {Sku: "apple", Quantity: 1}}}
		require.True(t, proto.Equal(want, got), "what is shipped is the order, whatever the message says: %v", got)
	})
}

func TestAnOrderHasOneShipment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		b.orders.keep(e, ok)
		msg, box := encode(t, e), b.box()
		var all sync.WaitGroup
		for i := range 12 {
			delivery := msg.Copy()
			if i%2 == 1 {
				delivery.UUID = uuid.NewString()
			}
			all.Go(func() {
				if err := box.Handle(delivery); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		b.requireNothingLeft()
		require.Len(t, b.shipments(), 1)
		require.Len(t, b.shipments()[0].GetLines(), 2)
	})
}

// requireNothingLeft waits until no message is parked or dead.
func (b *bundle) requireNothingLeft() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		rows, err := inbox.List(b.t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), inbox.ListOptions{States: []inbox.State{inbox.Parked, inbox.Dead}})
		return err == nil && len(rows) == 0
	}, patience, 5*time.Millisecond)
}

func TestALostOrderIsRestoredOnceAndShipped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		b.orders.with(func() { b.orders.restores = func(*orderpb.OrderConfirmed) error { return nil } })
		msg, box := encode(t, e), b.box()
		for range 2 {
			require.NoError(t, box.Handle(msg.Copy()))
		}
		require.Len(t, b.shipments(), 1)
		b.orders.with(func() {
			require.Len(t, b.orders.restored, 1)
			require.True(t, proto.Equal(e, b.orders.restored[0]))
		})
	})
}

func TestAnOrderThatIsNotRestoredIsADeadLetter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		msg, box := encode(t, confirmed("o-1")), b.box()
		require.NoError(t, box.Handle(msg))
		row := b.requireRow(inbox.Dead, msg)
		require.Equal(t, 1, row.Tries, "it is given up at once")
		require.Contains(t, row.LastError, "order o-1 is not there")
		require.Contains(t, row.LastError, "TRANSACTION_NOT_SUCCEEDED: the order is not restored: its transaction is failed")
		require.Empty(t, b.shipments())

		// Somebody repairs what there is to repair.
		b.orders.with(func() { b.orders.restores = func(*orderpb.OrderConfirmed) error { return nil } })
		_, err := inbox.Replay(t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), "dispatch", msg.UUID)
		require.NoError(t, err)
		b.requireRow(inbox.Done, msg)
		require.Len(t, b.shipments(), 1)
	})
}

func TestAnOrderThatReadsPendingIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		b.orders.keep(e, pending)
		msg, box := encode(t, e), b.box()
		require.NoError(t, box.Handle(msg))
		b.requireAsked(6) // more often than a message may fail
		require.Empty(t, b.shipments())
		b.orders.keep(e, ok)
		b.requireRow(inbox.Done, msg)
		require.Len(t, b.shipments(), 1)
	})
}

// requireAsked waits until the order service was asked n times.
func (b *bundle) requireAsked(n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		var asked int
		b.orders.with(func() { asked = b.orders.asked })
		return asked >= n
	}, patience, 5*time.Millisecond)
}

func TestAnOrderServiceThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		b.orders.keep(e, ok)
		b.orders.with(func() {
			b.orders.get = func(context.Context) error { return rpc.Error(codes.Unavailable, "X", "x", nil) }
		})
		msg, box := encode(t, e), b.box()
		require.NoError(t, box.Handle(msg))
		b.requireAsked(6)
		b.orders.with(func() { b.orders.get = nil })
		b.requireRow(inbox.Done, msg)
		require.Len(t, b.shipments(), 1)
	})
}

func TestACancelledOrderIsNotShipped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		b.orders.keep(e, cancelled)
		msg := encode(t, e)
		require.NoError(t, b.box().Handle(msg))
		require.Contains(t, b.requireRow(inbox.Dead, msg).LastError, "order o-1 is cancelled")
		require.Empty(t, b.shipments())
	})
}

func TestAShipmentIsMadeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		e := confirmed("o-1")
		good := e.GetLines()[1].GetQuantity()
		e.Lines[1].Quantity = 0 // which the table refuses, after the shipment and its first line
		b.orders.keep(e, ok)
		msg, box := encode(t, e), b.box()
		require.NoError(t, box.Handle(msg))
		row := b.requireRow(inbox.Dead, msg)
		require.Equal(t, 3, row.Tries)
		require.Empty(t, b.shipments())

		e.Lines[1].Quantity = good
		b.orders.keep(e, ok)
		_, err := inbox.Replay(t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), "dispatch", msg.UUID)
		require.NoError(t, err)
		b.requireRow(inbox.Done, msg)
		require.Len(t, b.shipments(), 1)
		require.Len(t, b.shipments()[0].GetLines(), 2)
	})
}
