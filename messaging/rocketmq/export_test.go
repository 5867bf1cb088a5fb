package rocketmq

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

// GroupOf is the name under which the brokers know a group.
var GroupOf = groupOf

// Encode returns what is sent for m, as a broker stores it.
func Encode(topic string, m *message.Message) (*primitive.MessageExt, error) {
	out, err := encode(topic, m, nil)
	if err != nil {
		return nil, err
	}
	stored := &primitive.MessageExt{MsgId: out.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)}
	stored.Topic, stored.Body = topic, out.Body
	// As it goes over the wire, where empty values vanish.
	stored.UnmarshalProperties([]byte(out.MarshallProperties()))
	return stored, nil
}

// Decode returns what is handed out of what a broker stores.
var Decode = decode

// Batches are the ids of messages by the batches in which they are sent.
func Batches(limit int, messages ...*message.Message) ([][]string, error) {
	all := make([]outgoing, len(messages))
	for i, m := range messages {
		var err error
		if all[i], err = encode("t", m, nil); err != nil {
			return nil, err
		}
	}
	var out [][]string
	for _, b := range batches(all, limit) {
		var ids []string
		for _, m := range b {
			ids = append(ids, m.GetProperty(propertyID))
		}
		out = append(out, ids)
	}
	return out, nil
}

// ShardOf is the number of a key's shard.
var ShardOf = shardOf

// Route says where a topic lies.
func (b *Bus) Route(ctx context.Context, topic string) (remoting.Route, error) {
	return b.route(ctx, topic)
}

// MaxOffset is how many messages a queue has had.
func (b *Bus) MaxOffset(ctx context.Context, topic string, q remoting.Queue) (int64, error) {
	return b.admin.MaxOffset(ctx, topic, q)
}
