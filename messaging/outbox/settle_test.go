package outbox_test

import (
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// answer has a receiver's result for msg travel back, and returns what the
// sender makes of it.
func (b *box) answer(msg *message.Message, failed bool, reason string) (res outbox.Result, first bool) {
	b.t.Helper()
	m, ok := outbox.ResultOf(msg, failed, reason)
	require.True(b.t, ok)
	require.Equal(b.t, "results", m.Topic)
	b.write(m)
	p := &broker{}
	stop := b.relay(p)
	await(b.t, func() bool {
		return slices.ContainsFunc(p.messages(), func(m *message.Message) bool { return m.Metadata.Get(messaging.MetadataResultOf) != "" })
	}, p)
	stop()
	got := p.messages()
	i := slices.IndexFunc(got, func(m *message.Message) bool { return m.Metadata.Get(messaging.MetadataResultOf) != "" })
	b.tx(func(tx *sql.Tx) {
		var err error
		res, first, err = b.Settle(b.t.Context(), tx, got[i])
		require.NoError(b.t, err)
	})
	return res, first
}

func TestSettle(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		stop := b.relay(p)
		b.write(outbox.Message{ID: "yes", Topic: "t", Key: "k", Payload: []byte("pay"), ExpectResult: true}, outbox.Message{ID: "no", Topic: "t", ExpectResult: true},
			outbox.Message{ID: "nobody", Topic: "t"})
		p.awaitIDs(t, 3)
		b.idle()
		stop()
		s, err := b.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, outbox.Stats{Awaiting: 2}, s)
		byID := map[string]*message.Message{}
		for _, m := range p.messages() {
			byID[m.UUID] = m
		}

		_, ok := outbox.ResultOf(byID["nobody"], false, "")
		require.False(t, ok, "nobody waits for it")

		res, first := b.answer(byID["yes"], false, "")
		require.True(t, first)
		require.Equal(t, outbox.Result{ID: "yes", Topic: "t", Key: "k", Payload: []byte("pay")}, res)
		require.Equal(t, outbox.StateConfirmed, b.get("yes").State)
		_, first = b.answer(byID["yes"], true, "changed my mind")
		require.False(t, first, "only the first result counts")
		require.Equal(t, outbox.StateConfirmed, b.get("yes").State)

		res, first = b.answer(byID["no"], true, "sold\x01 out \xff")
		require.True(t, first)
		require.Equal(t, "sold  out \uFFFD", res.Reason)
		row := b.get("no")
		require.Equal(t, outbox.StateFailed, row.State)
		require.Equal(t, "sold  out \uFFFD", row.LastError)
		require.NotZero(t, row.SettledAt)
		n, err := b.Retry(t.Context(), "no", "yes")
		require.NoError(t, err)
		require.Zero(t, n, "the receiver has answered")
		n, err = b.RetryAll(t.Context(), "")
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestSettleRefusesWhatIsNoResult(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		b.tx(func(tx *sql.Tx) {
			_, _, err := b.Settle(t.Context(), tx, message.NewMessage("x", nil))
			require.ErrorIs(t, err, messaging.ErrPermanent)
			stranger := message.NewMessage("y", nil)
			stranger.Metadata.Set(messaging.MetadataResultOf, "unknown")
			stranger.Metadata.Set(messaging.MetadataOutcome, string(outbox.StateConfirmed))
			_, first, err := b.Settle(t.Context(), tx, stranger)
			require.NoError(t, err)
			require.False(t, first)
		})
	})
}

// While no result comes the message is sent again, and at last given up; a
// result that comes later than that still counts.
func TestNoResultComes(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		stop := b.relay(p, func(c *outbox.RelayConfig) { c.ResultTimeout, c.MaxTries = 10*time.Millisecond, 3 })
		b.write(outbox.Message{ID: "m", Topic: "t", ExpectResult: true})
		row := b.awaitState("m", outbox.StateFailed)
		stop()
		require.Equal(t, "no result after it was sent 3 times", row.LastError)
		require.Equal(t, []string{"m", "m", "m"}, p.ids())
		res, first := b.answer(p.messages()[0], false, "")
		require.True(t, first)
		require.False(t, res.Failed)
		row = b.get("m")
		require.Equal(t, outbox.StateConfirmed, row.State)
		require.Empty(t, row.LastError)
	})
}

// A result may be there before the relay has marked the message.
func TestResultBeforeTheMark(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		p.refuse = func(_ string, msgs []*message.Message) error {
			for _, m := range msgs {
				result := message.NewMessage("r", nil)
				result.Metadata.Set(messaging.MetadataResultOf, m.UUID)
				result.Metadata.Set(messaging.MetadataOutcome, string(outbox.StateConfirmed))
				b.tx(func(tx *sql.Tx) {
					_, first, err := b.Settle(t.Context(), tx, result)
					require.NoError(t, err)
					require.True(t, first)
				})
			}
			return nil
		}
		b.relay(p, func(c *outbox.RelayConfig) { c.Batch = 2 })
		b.write(numbered("m", 5, outbox.Message{Topic: "t", Key: "k", Ordered: true, ExpectResult: true})...)
		ids := p.awaitIDs(t, 5)
		require.IsIncreasing(t, ids)
		for _, id := range ids {
			require.Equal(t, outbox.StateConfirmed, b.get(id).State)
		}
	})
}

// A person may have a message sent again whose result does not come.
func TestRetryOfWhatIsAwaited(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		b.relay(p)
		b.write(outbox.Message{ID: "m", Topic: "t", ExpectResult: true})
		b.awaitState("m", outbox.StateSent)
		n, err := b.Retry(t.Context(), "m")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"m", "m"}, p.awaitIDs(t, 2))
		_, err = b.Retry(t.Context())
		require.Error(t, err)
	})
}

// A resend that fails leaves the message Sent, until its tries are spent.
func TestRefusedResend(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		p := &broker{}
		b.relay(p, func(c *outbox.RelayConfig) { c.ResultTimeout = 10 * time.Millisecond })
		p.refuse = func(_ string, _ []*message.Message) error {
			if p.called() > 1 {
				return errors.New("topic deleted")
			}
			return nil
		}
		b.write(outbox.Message{ID: "m", Topic: "t", ExpectResult: true})
		row := b.awaitState("m", outbox.StateFailed)
		require.Equal(t, "topic deleted", row.LastError)
		require.NotZero(t, row.SentAt)
		require.Equal(t, []string{"m"}, p.ids())
	})
}
