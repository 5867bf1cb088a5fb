package order

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/tcc"
)

// announcing has the bundle's orders announced by an outbox, which it returns.
func (b *bundle) announcing() *outbox.Outbox {
	b.t.Helper()
	db := b.cfg.DB
	o, err := outbox.New(b.t.Context(), outbox.Config{DB: db.SQL(), Dialect: messaging.Dialect(db.Dialect())})
	require.NoError(b.t, err)
	b.cfg.Announcer = NewOutboxAnnouncer(o)
	return o
}

func createRequest() *pb.CreateRequest {
	return &pb.CreateRequest{
		RequestId: k.request, AccountId: k.account, Total: money(5, "EUR"), CartLineIds: []string{"line"},
		Lines: []*pb.OrderLine{{Sku: "x", Quantity: 2, Price: money(2, "EUR")}, {Sku: "y", Quantity: 1, Price: money(1, "EUR")}},
	}
}

// written are the messages in the outbox.
func (b *bundle) written() (ids []string, payloads [][]byte) {
	b.t.Helper()
	rows, err := b.cfg.DB.SQL().QueryContext(b.t.Context(), "SELECT id, payload FROM outbox WHERE topic = ?", event.TopicOrderConfirmed)
	require.NoError(b.t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var payload []byte
		require.NoError(b.t, rows.Scan(&id, &payload))
		ids, payloads = append(ids, id), append(payloads, payload)
	}
	require.NoError(b.t, rows.Err())
	return ids, payloads
}

func TestAConfirmedOrderIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		b.announcing()
		gid := b.insert(long)
		require.NoError(b.t, b.try(gid))
		ids, _ := b.written()
		require.Empty(b.t, ids, "an order that may still be cancelled is not announced")

		var all sync.WaitGroup
		for range 8 { // the coordinator may call more than once, and at once
			all.Go(func() {
				if _, err := b.ConfirmCreate(b.in(gid, tcc.Confirm), createRequest()); err != nil {
					b.t.Error(err)
				}
			})
		}
		all.Wait()
		ids, payloads := b.written()
		require.Equal(b.t, []string{event.ID(event.TopicOrderConfirmed, gid)}, ids)
		var told pb.OrderConfirmed
		require.NoError(b.t, event.Decode(message.NewMessage(ids[0], payloads[0]), &told))
		require.Equal(b.t, gid, told.GetOrderId())
		want := createRequest()
		got := &pb.CreateRequest{
			RequestId: told.GetRequestId(), AccountId: told.GetAccountId(), Lines: told.GetLines(), Total: told.GetTotal(), CartLineIds: told.GetCartLineIds(),
		}
		require.True(b.t, proto.Equal(want, got), "%s", got)
	})
}

func TestWhatIsNotConfirmedIsNotAnnounced(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		b.announcing()
		cancelled := b.insert(long)
		require.NoError(b.t, b.try(cancelled))
		b.cancel(cancelled)
		_, err := b.ConfirmCreate(b.in(cancelled, tcc.Confirm), createRequest())
		var conflict *tcc.ConflictError
		require.ErrorAs(b.t, err, &conflict)

		_, err = b.ConfirmCreate(b.in(b.gid(), tcc.Confirm), createRequest()) // never tried
		require.Error(b.t, err)
		ids, _ := b.written()
		require.Empty(b.t, ids)
	})
}

// refusing is an announcer that cannot write the message.
type refusing struct{}

var errRefusing = errors.New("no room for messages")

func (refusing) Do(ctx context.Context, _ string, _ *message.Message, business func(ctx context.Context, record func(context.Context, messaging.Tx) error) error) error {
	return business(ctx, func(context.Context, messaging.Tx) error { return errRefusing })
}

func TestAnOrderThatCannotBeAnnouncedIsNotConfirmed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		b.cfg.Announcer = refusing{}
		gid := b.insert(long)
		require.NoError(b.t, b.try(gid))
		_, err := b.ConfirmCreate(b.in(gid, tcc.Confirm), createRequest())
		require.ErrorIs(b.t, err, errRefusing)
		status, err := b.orders.status(b.t.Context(), gid)
		require.NoError(b.t, err)
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_PENDING, status)

		b.cfg.Announcer = nil
		b.announcing()
		_, err = b.ConfirmCreate(b.in(gid, tcc.Confirm), createRequest())
		require.NoError(b.t, err)
		ids, _ := b.written()
		require.Len(b.t, ids, 1)
	})
}

func TestFingerprintTellsCartLinesFromItems(t *testing.T) {
	t.Parallel()
	req := func(lines []string, cart ...string) *pb.PlaceOrderRequest {
		r := &pb.PlaceOrderRequest{AccountId: "a", RequestId: "r", CartLineIds: cart}
		for _, sku := range lines {
			r.Lines = append(r.Lines, &pb.LineItem{Sku: sku, Quantity: 1})
		}
		return r
	}
	old := database.Fingerprint("PlaceOrder", "a", "x", "1")
	require.Equal(t, old, fingerprint(req([]string{"x"})), "requests under way when this release came must be known again")
	require.NotEqual(t, old, fingerprint(req([]string{"x"}, "l")))
	require.NotEqual(t, fingerprint(req([]string{"x"}, "y", "1")), fingerprint(req([]string{"x", "y"})))
}
