package rocketmq

import "github.com/apache/rocketmq-client-go/v2/primitive"

// maxBatch is the size of the largest batch, in bytes: what a broker takes, less
// some room.
const maxBatch = 4<<20 - 16<<10

// batches puts messages together that may be sent at once: up to limit of one
// shard, or of no key, as large as a broker takes. Messages of a shard keep
// their order if the batches are sent in theirs.
func batches(all []outgoing, limit int) [][]*primitive.Message {
	var out [][]*primitive.Message
	type open struct{ index, size int }
	current := map[int]open{} // by shard: the batch that is being filled
	for _, m := range all {
		shard := none
		if m.Queue != nil {
			shard = m.Queue.QueueId
		}
		c, ok := current[shard]
		if m.alone || !ok || len(out[c.index]) == limit || c.size+m.size > maxBatch {
			out = append(out, []*primitive.Message{m.Message})
			if !m.alone {
				current[shard] = open{len(out) - 1, m.size}
			}
			continue
		}
		out[c.index] = append(out[c.index], m.Message)
		current[shard] = open{c.index, c.size + m.size}
	}
	return out
}
