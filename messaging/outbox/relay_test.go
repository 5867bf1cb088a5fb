package outbox_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// Several relays share the work, and none does what another one has done.
func TestRelaysCompete(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		n := testserver.Volume(240, 20000)
		p := &broker{}
		for range 3 {
			b.relay(p, func(c *outbox.RelayConfig) { c.Batch = 16 })
		}
		var want []string
		for i := range 3 {
			msgs := numbered(string(rune('a'+i)), n/3, outbox.Message{Topic: []string{"x", "y"}[i%2], Payload: []byte("p")})
			b.write(msgs...)
			want = append(want, idsOf(msgs)...)
		}
		got := p.awaitIDs(t, len(want))
		b.idle()
		slices.Sort(got)
		require.Equal(t, want, got)
	})
}

// What cannot be published is tried as often as it may be and is then Failed,
// with the reason. Others go on meanwhile, and it can be tried again.
func TestUnknownTopic(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{refuse: func(topic string, _ []*message.Message) error {
			if topic == "unknown" {
				return errors.New("no such topic \x00\xff")
			}
			return nil
		}}
		b.relay(p)
		b.write(outbox.Message{ID: "bad", Topic: "unknown"}, outbox.Message{ID: "worse", Topic: "unknown"}, outbox.Message{ID: "good", Topic: "known"})
		bad := b.awaitState("bad", outbox.StateFailed)
		b.awaitState("worse", outbox.StateFailed)
		b.awaitState("good", outbox.StateSent)
		require.Equal(t, 4, bad.Tries)
		require.Contains(t, bad.LastError, "no such topic")
		require.False(t, bad.Claimed)
		s, err := b.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, outbox.Stats{Failed: 2}, s)

		p.heal()
		n, err := b.Retry(t.Context(), "bad", "good", "none")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, b.awaitState("bad", outbox.StateSent).LastError)
		require.Equal(t, outbox.StateFailed, b.get("worse").State)
		n, err = b.RetryAll(t.Context(), "known")
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = b.RetryAll(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b.awaitState("worse", outbox.StateSent)
	})
}

// One message that is refused takes none of its batch with it.
func TestOneOfABatchIsRefused(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		p.refuse = func(_ string, msgs []*message.Message) error {
			if slices.ContainsFunc(msgs, func(m *message.Message) bool { return m.UUID == "m-00003" }) {
				return messaging.Permanent(errors.New("too large"))
			}
			return nil
		}
		b.write(numbered("m", 8, outbox.Message{Topic: "t"})...)
		b.relay(p)
		refused := b.awaitState("m-00003", outbox.StateFailed)
		require.Equal(t, 1, refused.Tries, "a permanent error is final")
		b.idle()
		require.ElementsMatch(t, []string{"m-00000", "m-00001", "m-00002", "m-00004", "m-00005", "m-00006", "m-00007"}, p.ids())
	})
}

// A broker that is away is not held against the messages, and is not asked
// without end.
func TestUnavailableBroker(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{refuse: func(topic string, _ []*message.Message) error {
			if topic == "away" {
				return messaging.Unavailable(errors.New("no route"))
			}
			return nil
		}}
		b.relay(p)
		b.write(numbered("m", 5, outbox.Message{Topic: "away"})...)
		b.write(numbered("o", 5, outbox.Message{Topic: "away", Ordered: true, Key: "k"})...)
		await(t, func() bool { b.Wake(); return p.called() >= 4 }, p)
		for _, id := range []string{"m-00004", "o-00004"} {
			row := b.await(id, func(r outbox.Row) bool { return !r.Claimed })
			require.Equal(t, outbox.StateNew, row.State)
			require.Zero(t, row.Tries)
		}
		b.write(outbox.Message{ID: "other", Topic: "there"})
		b.awaitState("other", outbox.StateSent)
		p.heal()
		b.idle()
		require.Len(t, p.ids(), 11)
	})
}

// A publisher that panics is an error, and only its message's.
func TestPanickingPublisher(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{refuse: func(_ string, msgs []*message.Message) error {
			for _, m := range msgs {
				if m.UUID == "m-00001" {
					panic("out of order")
				}
			}
			return nil
		}}
		b.relay(p)
		b.write(numbered("m", 3, outbox.Message{Topic: "t"})...)
		row := b.awaitState("m-00001", outbox.StateFailed)
		require.Contains(t, row.LastError, "the publisher panicked: out of order")
		b.idle()
		require.ElementsMatch(t, []string{"m-00000", "m-00002"}, p.ids())
	})
}

// A publisher that does not return for one message holds up the others for the
// time of a lease, and no longer; the end does not wait for it either.
func TestHungPublisher(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		release := make(chan struct{})
		var hung, left atomic.Int64
		p := &broker{refuse: func(_ string, msgs []*message.Message) error {
			for _, m := range msgs {
				if m.UUID == "m-00001" {
					hung.Add(1)
					<-release
					left.Add(1)
					return errors.New("too late")
				}
			}
			return nil
		}}
		stop := b.relay(p, func(c *outbox.RelayConfig) { c.Lease, c.Workers, c.MaxTries = 3*time.Second, 1, 3 })
		b.write(numbered("m", 3, outbox.Message{Topic: "t"})...)
		row := b.awaitState("m-00001", outbox.StateFailed)
		require.Regexp(t, "did not return|without a note", row.LastError) // the latter on a busy machine
		b.awaitState("m-00000", outbox.StateSent)
		b.awaitState("m-00002", outbox.StateSent)
		stop()
		close(release)
		await(t, func() bool { return left.Load() == hung.Load() }, &left)
	})
}

// The end of Run waits for what is being published, and gives back the rest.
func TestRunEnds(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		entered, release := make(chan struct{}), make(chan struct{})
		p := &broker{refuse: func(_ string, msgs []*message.Message) error {
			if len(msgs) > 1 {
				return errors.New("one by one")
			}
			close(entered)
			<-release
			return msgs[0].Context().Err()
		}}
		stop := b.relay(p, func(c *outbox.RelayConfig) { c.Workers = 1 })
		b.write(numbered("m", 3, outbox.Message{Topic: "t"})...)
		<-entered
		ended := make(chan struct{})
		go func() { defer close(ended); stop() }()
		select {
		case <-ended:
			t.Fatal("it ended while it was publishing")
		case <-time.After(50 * time.Millisecond):
		}
		close(release)
		<-ended
		require.Equal(t, []string{"m-00000"}, p.ids())
		require.Equal(t, outbox.StateSent, b.get("m-00000").State)
		for _, id := range []string{"m-00001", "m-00002"} {
			row := b.get(id)
			require.Equal(t, outbox.StateNew, row.State)
			require.False(t, row.Claimed)
			require.Zero(t, row.Tries)
		}
	})
}

// A relay finds what another process has written.
func TestMessagesOfOthersAreFoundByPolling(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		b.relay(p)
		other, err := outbox.New(t.Context(), b.config()) // as in another process
		require.NoError(t, err)
		tx, err := b.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, other.Write(t.Context(), tx, outbox.Message{ID: "theirs", Topic: "t"}))
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"theirs"}, p.awaitIDs(t, 1))
	})
}

// A big backlog of big messages is claimed in pieces that fit into memory.
func TestBatchesAreBoundedInBytes(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		var most atomic.Int64
		p := &broker{refuse: func(_ string, msgs []*message.Message) error {
			most.Store(max(most.Load(), int64(len(msgs))))
			return nil
		}}
		b.write(numbered("m", 17, outbox.Message{Topic: "t"})...)
		b.exec("UPDATE outbox SET size = ?", 3<<20)
		b.relay(p, func(c *outbox.RelayConfig) { c.Workers = 1 })
		p.awaitIDs(t, 17)
		require.Equal(t, int64(5), most.Load(), "of 3 MiB")
		b.idle()
	})
}
