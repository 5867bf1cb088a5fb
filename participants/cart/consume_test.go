package cart_test

import (
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// box is the inbox of the service's consumer.
func (b *bundle) box() *inbox.Inbox {
	b.t.Helper()
	consumers := b.service.Consumers()
	require.Len(b.t, consumers, 1)
	require.Equal(b.t, event.TopicOrderConfirmed, consumers[0].Topic)
	box, err := inbox.New(b.t.Context(), inbox.Config{
		DB: b.db.SQL(), Dialect: messaging.Dialect(b.db.Dialect()),
		Consumer: consumers[0].Name, Topic: consumers[0].Topic, Handler: consumers[0].Handler, Logger: databasetest.Logger(b.t),
	})
	require.NoError(b.t, err)
	return box
}

// confirmed says that an order was made from lines of an account's cart.
func confirmed(t require.TestingT, account string, lines ...string) *message.Message {
	price := &commonpb.Money{Amount: 100, Currency: "EUR"}
	payload, err := event.Encode(&orderpb.OrderConfirmed{
		OrderId: uuid.NewString(), RequestId: "r", AccountId: account, Total: price, CartLineIds: lines,
		Lines: []*orderpb.OrderLine{{Sku: "apple", Quantity: 1, Price: price}},
	})
	require.NoError(t, err)
	return message.NewMessage(uuid.NewString(), payload)
}

func TestTheOrderedLinesLeaveTheCart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		first, stays, second, others := b.add("ann", "r1"), b.add("ann", "r2"), b.add("ann", "r3"), b.add("bob", "r1")
		msg := confirmed(t, "ann", second, first, others, "never-there", "äpfel")
		later := b.add("ann", "r4")
		require.NoError(t, b.box().Handle(msg))
		require.Equal(t, []string{stays, later}, b.lines("ann"))
		require.Equal(t, []string{others}, b.lines("bob"), "an order takes nothing out of another account's cart")
		require.Equal(t, first, b.add("ann", "r1"), "a late repetition of AddItem puts nothing back")
		require.Equal(t, []string{stays, later}, b.lines("ann"))
	})
}

func TestAMessageThatComesTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		msg := confirmed(t, "ann", b.add("ann", "r1"))
		again := message.NewMessage(uuid.NewString(), msg.Payload) // under another id
		box := b.box()
		require.NoError(t, box.Handle(msg))
		later := b.add("ann", "r2")
		require.NoError(t, box.Handle(msg.Copy()))
		require.NoError(t, box.Handle(again))
		require.Equal(t, []string{later}, b.lines("ann"))
	})
}

// Messages about one cart come at once, each several times, while its account
// goes on shopping.
func TestMessagesAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		const orders = 4
		var lines, later [orders]string
		for i := range orders {
			lines[i] = b.add("ann", uuid.NewString())
		}
		box := b.box()
		var all sync.WaitGroup
		for i := range orders {
			// Orders from the same lines, in another sequence each.
			msg := confirmed(t, "ann", lines[i], lines[(i+1)%orders])
			for range 4 {
				copied := msg.Copy()
				all.Go(func() {
					if err := box.Handle(copied); err != nil {
						t.Errorf("%v", err)
					}
				})
			}
			all.Go(func() {
				resp, err := b.AddItem(t.Context(), &pb.AddItemRequest{RequestId: uuid.NewString(), AccountId: "ann", Sku: "pear", Quantity: 1})
				if err != nil {
					t.Errorf("%v", err)
				}
				later[i] = resp.GetLine().GetLineId()
			})
		}
		all.Wait()
		require.ElementsMatch(t, later, b.lines("ann"))
	})
}

func TestAnOrderThatWasMadeFromNoCart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		stays := b.add("ann", "r1")
		require.NoError(t, b.box().Handle(confirmed(t, "ann")))
		require.Equal(t, []string{stays}, b.lines("ann"))
	})
}

func TestWhatCannotBeReadIsADeadLetter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		stays := b.add("ann", "r1")
		box := b.box()
		require.NoError(t, box.Handle(message.NewMessage("no-json", []byte("{"))))
		require.NoError(t, box.Handle(confirmed(t, "no/account", stays)))
		dead, err := inbox.List(t.Context(), b.db.SQL(), messaging.Dialect(b.db.Dialect()), inbox.ListOptions{Consumer: "cart", States: []inbox.State{inbox.Dead}})
		require.NoError(t, err)
		require.Len(t, dead, 2)
		require.Equal(t, []string{stays}, b.lines("ann"))
	})
}
