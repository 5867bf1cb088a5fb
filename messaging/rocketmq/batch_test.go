package rocketmq_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// TestBatches checks what batches promise of any messages: each is in one, none
// is too large, those of a shard are alone with each other and in order, and one
// that is delayed is alone.
func TestBatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 8).Draw(t, "limit")
		all := map[string]*message.Message{}
		var given []*message.Message
		for i := range rapid.IntRange(0, 16).Draw(t, "n") {
			m := message.NewMessage(fmt.Sprint(i), make([]byte, rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 2 << 20, rocketmq.MaxPayload}).Draw(t, "size")))
			if key := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "key"); key != "" {
				m.Metadata.Set(messaging.MetadataKey, key)
			}
			if rapid.IntRange(0, 9).Draw(t, "delayed") == 0 {
				messaging.SetDelay(m, time.Second)
			}
			all[m.UUID] = m
			given = append(given, m)
		}
		batches, err := rocketmq.Batches(limit, given...)
		require.NoError(t, err)
		n, last := 0, map[int]int{}
		for _, b := range batches {
			require.LessOrEqual(t, len(b), limit)
			size := 0
			for _, id := range b {
				n++
				m := all[id]
				size += len(m.Payload)
				shard := rocketmq.ShardOf(m.Metadata.Get(messaging.MetadataKey))
				require.Equal(t, rocketmq.ShardOf(all[b[0]].Metadata.Get(messaging.MetadataKey)), shard)
				if m.Metadata.Get(messaging.MetadataDelay) != "" {
					require.Len(t, b, 1)
					continue
				}
				var i int
				_, err := fmt.Sscan(id, &i)
				require.NoError(t, err)
				require.GreaterOrEqual(t, i, last[shard], "a shard's order")
				last[shard] = i
			}
			require.Less(t, size, 4<<20)
		}
		require.Equal(t, len(given), n)
	})
}
