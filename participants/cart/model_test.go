package cart_test

import (
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// Whatever is put in, taken out, ordered and announced, in any sequence: a cart
// holds the lines that were put in less those that were taken out or named by a
// message about its account.
func TestCartsAgreeWithAModel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		box := b.box()
		var runs atomic.Int64
		rapid.Check(t, func(t *rapid.T) {
			n := strconv.FormatInt(runs.Add(1), 10)
			h := &history{bundle: b, box: box, accounts: []string{"ann-" + n, "bob-" + n}, carts: make(map[string][]string)}
			steps := []func(*rapid.T){h.add, h.add, h.remove, h.order, h.deliver}
			for range rapid.IntRange(1, 8).Draw(t, "steps") {
				rapid.SampledFrom(steps).Draw(t, "step")(t)
			}
			for _, a := range h.accounts {
				require.ElementsMatch(t, h.carts[a], b.lines(a))
			}
		})
	})
}

// history is one random history of two carts, and what they must hold.
type history struct {
	*bundle
	box      *inbox.Inbox
	accounts []string
	carts    map[string][]string // line ids by account
	ever     []string            // all lines that there ever were
	sent     []announced
}

// announced is a message, with what it says.
type announced struct {
	msg     *message.Message
	account string
	lines   []string
}

func (h *history) account(t *rapid.T) string { return rapid.SampledFrom(h.accounts).Draw(t, "account") }

func (h *history) takeOut(account string, lines []string) {
	h.carts[account] = slices.DeleteFunc(h.carts[account], func(l string) bool { return slices.Contains(lines, l) })
}

func (h *history) add(t *rapid.T) {
	account := h.account(t)
	line := h.bundle.add(account, uuid.NewString())
	h.carts[account], h.ever = append(h.carts[account], line), append(h.ever, line)
}

func (h *history) remove(t *rapid.T) {
	if len(h.ever) == 0 {
		return
	}
	account, line := h.account(t), rapid.SampledFrom(h.ever).Draw(t, "line")
	_, err := h.RemoveItem(h.t.Context(), &pb.RemoveItemRequest{AccountId: account, LineId: line})
	require.Equal(t, slices.Contains(h.carts[account], line), err == nil, "%v", err)
	h.takeOut(account, []string{line})
}

// order sends a message, which is delivered later, or never.
func (h *history) order(t *rapid.T) {
	a := announced{account: h.account(t)}
	for _, line := range h.ever {
		if rapid.Bool().Draw(t, "with it") {
			a.lines = append(a.lines, line)
		}
	}
	a.msg = confirmed(t, a.account, a.lines...)
	h.sent = append(h.sent, a)
}

// deliver delivers a message, for the first time or not, as the same or under
// another id.
func (h *history) deliver(t *rapid.T) {
	if len(h.sent) == 0 {
		return
	}
	a := rapid.SampledFrom(h.sent).Draw(t, "message")
	delivery := a.msg.Copy()
	if rapid.Bool().Draw(t, "under another id") {
		delivery.UUID = uuid.NewString()
	}
	require.NoError(t, h.box.Handle(delivery))
	h.takeOut(a.account, a.lines)
}
