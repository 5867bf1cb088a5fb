package express_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
)

func TestAResultSettlesAnOrderOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		good, bad := b.place(request("good")).GetOrderId(), b.place(request("bad")).GetOrderId()
		asked := b.posted(event.TopicExpressTake)
		took := b.result(asked[0], false, "")
		refused := b.result(asked[1], true, "INSUFFICIENT_STOCK: 1 of apple are available, 3 are needed")
		for range 2 {
			require.NoError(t, b.inbox.Handle(took))
			require.NoError(t, b.inbox.Handle(refused))
		}
		// Another message about the same, which says otherwise: the first counts.
		require.NoError(t, b.inbox.Handle(b.result(asked[0], true, "UNKNOWN_SKU")))
		require.NoError(t, b.inbox.Handle(b.result(asked[1], false, "")))
		b.requireOrder(good, confirmed, "")
		b.requireOrder(bad, cancelled, "INSUFFICIENT_STOCK: 1 of apple are available, 3 are needed")
		b.requireAsked(good, outbox.StateConfirmed)
		b.requireAsked(bad, outbox.StateFailed)
		require.Empty(t, b.unfinished())
	})
}

// Two results at once that say the opposite.
func TestResultsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.place(request("r")).GetOrderId()
		asked := b.posted(event.TopicExpressTake)[0]
		results := []*message.Message{b.result(asked, false, ""), b.result(asked, true, "UNKNOWN_SKU: there is no item pear")}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if err := b.inbox.Handle(results[i%2].Copy()); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		require.Empty(t, b.unfinished())
		if b.asked(id).State == outbox.StateConfirmed {
			b.requireOrder(id, confirmed, "")
		} else {
			b.requireOrder(id, cancelled, "UNKNOWN_SKU: there is no item pear")
		}
	})
}

// A result that comes after the message was given up settles the order all the
// same.
func TestALateResult(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.place(request("r")).GetOrderId()
		b.giveUp(id)
		b.requireOrder(id, pending, "")
		require.NoError(t, b.inbox.Handle(b.result(b.posted(event.TopicExpressTake)[0], false, "")))
		b.requireOrder(id, confirmed, "")
		b.requireAsked(id, outbox.StateConfirmed)
	})
}

func TestAReasonThatIsTooLongIsCut(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		id := b.place(request("r")).GetOrderId()
		long := strings.Repeat("ä", 300)
		require.NoError(t, b.inbox.Handle(b.result(b.posted(event.TopicExpressTake)[0], true, long)))
		b.requireOrder(id, cancelled, strings.Repeat("ä", 255))
	})
}

func TestWhatCannotBeSettledIsADeadLetter(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.place(request("r"))
		garbage := message.NewMessage(uuid.NewString(), []byte("{}"))
		require.NoError(t, b.inbox.Handle(garbage))
		// Somebody changed the order by hand: nothing of the result is taken.
		_, err := b.db.Exec(t.Context(), "UPDATE express_order SET status = ?, settled_at = 1", confirmed)
		require.NoError(t, err)
		result := b.result(b.posted(event.TopicExpressTake)[0], true, "UNKNOWN_SKU")
		require.NoError(t, b.inbox.Handle(result))
		b.requireAsked(b.posted(event.TopicExpressTake)[0].UUID, outbox.StateNew)
		why := make(map[string]string)
		for _, row := range b.unfinished() {
			require.Equal(t, inbox.Dead, row.State)
			why[row.MessageID] = row.LastError
		}
		require.Len(t, why, 2)
		require.Contains(t, why[garbage.UUID], "is no result")
		require.Contains(t, why[result.UUID], "is not PENDING")
		// A result of a message that nobody sent is nobody's.
		_, err = b.db.Exec(t.Context(), "DELETE FROM outbox WHERE id = ?", b.posted(event.TopicExpressTake)[0].UUID)
		require.NoError(t, err)
		again := result.Copy()
		again.UUID = uuid.NewString()
		require.NoError(t, b.inbox.Handle(again))
	})
}

// refuser is a broker that takes nothing.
type refuser struct{}

func (refuser) Publish(string, ...*message.Message) error {
	return messaging.Permanent(errors.New("not of this kind"))
}
func (refuser) Close() error { return nil }

// giveUp has a relay fail to publish an order's message.
func (b *bundle) giveUp(id string) {
	b.t.Helper()
	relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: b.outbox, Publisher: refuser{}})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })
	defer running.Wait()
	defer cancel()
	require.Eventually(b.t, func() bool { return b.asked(id).State == outbox.StateFailed }, 20*time.Second, 5*time.Millisecond)
}
