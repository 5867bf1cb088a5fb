package rocketmq_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// TestMessagesSurvive sends any message through RocketMQ's form and back.
func TestMessagesSurvive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r > 2 && r != '\uFFFD' }))
		m := message.NewMessage(text.Draw(t, "id"), rapid.SliceOf(rapid.Byte()).Draw(t, "payload"))
		for k, v := range rapid.MapOfN(text, text, 0, 8).Draw(t, "metadata") {
			m.Metadata.Set(k, v)
		}
		// One without an id, metadata and anything empty cannot be told from
		// another sender's, and gets the id that RocketMQ gives it.
		if m.UUID == "" && len(m.Metadata) == 0 {
			m.UUID = "id"
		}
		delete(m.Metadata, messaging.MetadataDelay)
		stored, err := rocketmq.Encode("t", m)
		require.NoError(t, err)
		require.NotEmpty(t, stored.Body)
		got := rocketmq.Decode(stored)
		require.Equal(t, m.UUID, got.UUID)
		require.Equal(t, m.Metadata, got.Metadata)
		require.True(t, bytes.Equal(m.Payload, got.Payload))
	})
}

func TestKeysAndTagsAreRocketMQs(t *testing.T) {
	t.Parallel()
	m := message.NewMessage("id-1", []byte("x"))
	m.Metadata.Set(messaging.MetadataKey, "order-7")
	m.Metadata.Set(messaging.MetadataTag, "paid")
	messaging.SetDelay(m, 1500*time.Millisecond)
	stored, err := rocketmq.Encode("t", m)
	require.NoError(t, err)
	require.Equal(t, "id-1 order-7", stored.GetKeys())
	require.Equal(t, "paid", stored.GetTags())
	require.Equal(t, "order-7", stored.GetShardingKey())
	require.Equal(t, "1500", stored.GetProperty("TIMER_DELAY_MS"))
	got := rocketmq.Decode(stored)
	require.Equal(t, "order-7", got.Metadata.Get(messaging.MetadataKey))
	require.NotContains(t, got.Metadata, messaging.MetadataDelay, "or who publishes it again would delay it again")
}

// TestEachAttemptIsTheSameMessage: the client gives a message an id when it first
// sends it, and one in a batch none.
func TestEachAttemptIsTheSameMessage(t *testing.T) {
	t.Parallel()
	a, err := rocketmq.Encode("t", message.NewMessage("a", []byte("x")))
	require.NoError(t, err)
	b, err := rocketmq.Encode("t", message.NewMessage("b", []byte("x")))
	require.NoError(t, err)
	require.NotEmpty(t, a.MsgId)
	require.NotEqual(t, a.MsgId, b.MsgId)
}

func TestMessageOfAnotherSender(t *testing.T) {
	t.Parallel()
	stored := &primitive.MessageExt{MsgId: "7F00000100002A9F"}
	stored.Body = []byte("x")
	stored.WithProperty("KEYS", "k")
	stored.WithProperty("colour", "red")
	m := rocketmq.Decode(stored)
	require.Equal(t, "7F00000100002A9F", m.UUID)
	require.Equal(t, message.Metadata{"KEYS": "k", "colour": "red"}, m.Metadata)
}

// badMessages are those that RocketMQ would refuse, or change.
func badMessages() map[string]struct {
	of   func(m *message.Message)
	says string
} {
	set := func(k, v string) func(m *message.Message) {
		return func(m *message.Message) { m.Metadata.Set(k, v) }
	}
	return map[string]struct {
		of   func(m *message.Message)
		says string
	}{
		"4 MiB":                          {func(m *message.Message) { m.Payload = make([]byte, 4<<20) }, "its payload has 4194304 bytes: want up to 4161536"},
		"a byte too many":                {func(m *message.Message) { m.Payload = make([]byte, rocketmq.MaxPayload+1) }, "want up to 4161536"},
		"character 1 in a value":         {set("k", "a\x01b"), "between which RocketMQ puts properties"},
		"character 2 in a value":         {set("k", "a\x02b"), "between which RocketMQ puts properties"},
		"character 2 in a name":          {set("k\x02", "v"), "between which RocketMQ puts properties"},
		"character 1 in the id":          {func(m *message.Message) { m.UUID = "\x01" }, "between which RocketMQ puts properties"},
		"no UTF-8":                       {set("k", "\xff"), "want UTF-8"},
		"metadata of 32 KiB":             {set("k", strings.Repeat("v", 32<<10)), "want up to 30720"},
		"a delay that is none":           {set(messaging.MetadataDelay, "soon"), "its delay is \"soon\""},
		"a delay of four days":           {set(messaging.MetadataDelay, "96h"), "want a duration up to 72h0m0s"},
		"a delay in the past":            {set(messaging.MetadataDelay, "-1s"), "want a duration"},
		"a key with a character 1":       {set(messaging.MetadataKey, "\x01"), "between which RocketMQ puts properties"},
		"a tag with a character 2":       {set(messaging.MetadataTag, "\x02"), "between which RocketMQ puts properties"},
		"an id and a key of 16 KiB each": {func(m *message.Message) { m.UUID = strings.Repeat("i", 16<<10) }, "want up to 30720"},
	}
}

func TestBadMessagesArePermanentErrors(t *testing.T) {
	t.Parallel()
	for name, bad := range badMessages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message.NewMessage("id-1", []byte("x"))
			bad.of(m)
			_, err := rocketmq.Encode("t", m)
			require.ErrorIs(t, err, messaging.ErrPermanent)
			require.ErrorContains(t, err, bad.says)
		})
	}
}
