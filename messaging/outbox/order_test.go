package outbox_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// A message that is given up stops its key, and no other one, until it has gone.
func TestFailedStopsItsKey(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{refuse: func(_ string, msgs []*message.Message) error {
			if slices.ContainsFunc(msgs, func(m *message.Message) bool { return m.UUID == "a-00001" }) {
				return messaging.Permanent(errors.New("no"))
			}
			return nil
		}}
		b.relay(p, func(c *outbox.RelayConfig) { c.Batch = 4 })
		b.write(numbered("a", 30, outbox.Message{Topic: "t", Key: "a", Ordered: true})...)
		b.write(numbered("b", 30, outbox.Message{Topic: "t", Key: "b", Ordered: true})...)
		b.write(outbox.Message{ID: "c", Topic: "t", Key: "a"}) // the same key, and no order
		b.awaitState("b-00029", outbox.StateSent)
		b.awaitState("c", outbox.StateSent)
		b.awaitState("a-00001", outbox.StateFailed)
		b.write(outbox.Message{ID: "a-00030", Topic: "t", Key: "a", Ordered: true})
		// All that are behind it are out of the relay's way.
		await(t, func() bool { return b.number("SELECT COUNT(*) FROM outbox WHERE state = 'NEW' AND due_at = 0") == 29 }, b)
		require.Equal(t, outbox.StateSent, b.get("a-00000").State)

		p.heal()
		_, err := b.Retry(t.Context(), "a-00001")
		require.NoError(t, err)
		b.idle()
		a := slices.DeleteFunc(p.ids(), func(id string) bool { return !strings.HasPrefix(id, "a") })
		require.Len(t, a, 31)
		require.IsIncreasing(t, a)
	})
}

// Somebody may delete by hand what stops a key. Nobody is told, and it goes on.
func TestDeletedByHand(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{refuse: func(_ string, msgs []*message.Message) error {
			if msgs[0].UUID == "a-00000" {
				return messaging.Permanent(errors.New("no"))
			}
			return nil
		}}
		b.relay(p)
		b.write(numbered("a", 5, outbox.Message{Topic: "t", Key: "a", Ordered: true})...)
		b.awaitState("a-00000", outbox.StateFailed)
		await(t, func() bool { return b.number("SELECT COUNT(*) FROM outbox WHERE state = 'NEW' AND due_at = 0") == 4 }, b)
		b.exec("DELETE FROM outbox WHERE id = 'a-00000'")
		b.idle()
		require.Equal(t, []string{"a-00001", "a-00002", "a-00003", "a-00004"}, p.ids())
	})
}

// TestOrder has several relays publish messages of a few keys to a broker that
// fails in every way, and looks at the order of each key as the broker sees it:
// a message comes for the first time only after all before it.
func TestOrder(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		run := 0
		for range testserver.Volume(2, 60) {
			run++
			seed := rapid.Uint64().Example(run)
			b.requireOrder(fmt.Sprintf("r%d", run), weather(seed))
		}
	})
}

// weather is how a broker fails: a number decides about each message's tries.
type weather uint64

var errOf = map[uint64]error{
	1: errors.New("refused"),
	2: messaging.Unavailable(errors.New("away")),
	3: messaging.Permanent(errors.New("never")),
}

// at is what happens to a message at its try numbered n.
func (w weather) at(id string, n int) error {
	x := uint64(w) + uint64(n)*0x9e3779b97f4a7c15
	for _, c := range id {
		x = (x ^ uint64(c)) * 0xff51afd7ed558ccd
		x ^= x >> 33
	}
	return errOf[x%16] // mostly nil
}

// sea is a broker in a weather. It is what a model of an ordered topic would
// see: who came when.
type sea struct {
	weather weather
	mu      sync.Mutex
	tries   map[string]int
	seen    []string
}

// Publish implements message.Publisher. A batch is taken up to the message that
// fails.
func (s *sea) Publish(_ string, msgs ...*message.Message) error {
	for _, m := range msgs {
		s.mu.Lock()
		s.tries[m.UUID]++
		err := s.weather.at(m.UUID, s.tries[m.UUID])
		if err == nil {
			s.seen = append(s.seen, m.UUID)
		}
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements message.Publisher.
func (s *sea) Close() error { return nil }

func (b *box) requireOrder(prefix string, w weather) {
	b.t.Helper()
	const keys, each = 4, 15
	s := &sea{weather: w, tries: map[string]int{}}
	var stops []func()
	for range 3 {
		stops = append(stops, b.relay(s, func(c *outbox.RelayConfig) { c.Batch = 7 }))
	}
	var want []string
	for i := range each {
		var msgs []outbox.Message
		for k := range keys {
			id := fmt.Sprintf("%s-%d-%03d", prefix, k, i)
			msgs = append(msgs, outbox.Message{ID: id, Topic: "t", Key: fmt.Sprint(prefix, k), Ordered: k > 0})
			want = append(want, id)
		}
		b.write(msgs...)
	}
	// What is given up is tried again, until nothing is left.
	await(b.t, func() bool {
		_, err := b.RetryAll(b.t.Context(), "")
		require.NoError(b.t, err)
		st, err := b.Stats(b.t.Context())
		require.NoError(b.t, err)
		return st.New == 0 && st.Failed == 0
	}, s)
	for _, stop := range stops {
		stop()
	}
	firsts, met := map[string][]string{}, map[string]bool{}
	for _, id := range s.seen {
		if !met[id] {
			met[id] = true
			key := id[:strings.LastIndex(id, "-")]
			firsts[key] = append(firsts[key], id)
		}
	}
	require.Len(b.t, met, len(want))
	for key, ids := range firsts {
		if !strings.HasSuffix(key, "-0") {
			require.IsIncreasing(b.t, ids, "seed %d", w)
		}
	}
}
