package rocketmq

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// DefaultProducerGroup is the producers' group of publishers. To RocketMQ it is
// a name in its console.
const DefaultProducerGroup = "tcckit"

// producerOptions are those of every producer, which gets its own connections:
// its own name server client, instance name and credentials; and no retry of
// the client's, which goes on after the context has ended.
func (b *Bus) producerOptions(group string, s *selector) []producer.Option {
	return append([]producer.Option{
		producer.WithNsResolver(b.resolver),
		producer.WithGroupName(group),
		producer.WithInstanceName(instance("producer")),
		producer.WithRetry(0),
		producer.WithSendMsgTimeout(b.cfg.SendTimeout),
		producer.WithQueueSelector(s),
		// A topic that does not exist is not created from a template.
		producer.WithCreateTopicKey(""),
		// What a message weighs is what its sender sees.
		producer.WithCompressMsgBodyOverHowmuch(math.MaxInt),
	}, b.producerCredentials()...)
}

func (b *Bus) producerCredentials() []producer.Option {
	if b.cfg.AccessKey == "" {
		return nil
	}
	return []producer.Option{producer.WithCredentials(primitive.Credentials{AccessKey: b.cfg.AccessKey, SecretKey: b.cfg.SecretKey})}
}

// shards is how many groups of keys there are. The messages of one go into one
// queue, together in one batch; so keys use up to so many queues of a topic.
const shards = 16

// shardOf is the number of a key's shard, and none for the empty key.
func shardOf(key string) int {
	if key == "" {
		return none
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return int(h.Sum32() % shards)
}

const none = -1

// selector puts messages of a shard into one queue, and others into each queue
// in turn. The shard is the number of the message's Queue, which a batch takes
// over from its messages, as it does not their keys.
type selector struct {
	mu   sync.Mutex
	turn map[string]int
	// queues is how many a topic has, as far as it is known.
	queues map[string]int
}

func newSelector() *selector { return &selector{turn: map[string]int{}, queues: map[string]int{}} }

// merge makes one shard of those that lie in one queue, so that batches are
// fewer and larger. While nothing was sent to a topic it changes nothing.
func (s *selector) merge(topic string, all []outgoing) {
	s.mu.Lock()
	n := s.queues[topic]
	s.mu.Unlock()
	if n == 0 {
		return
	}
	for _, m := range all {
		if m.Queue != nil {
			m.Queue.QueueId %= n
		}
	}
}

func (s *selector) Select(m *primitive.Message, queues []*primitive.MessageQueue, _ string) *primitive.MessageQueue {
	if len(queues) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[m.Topic] = len(queues)
	if m.Queue != nil {
		// The client's order of brokers is not the same in each process.
		sorted := slices.SortedFunc(slices.Values(queues), func(a, b *primitive.MessageQueue) int {
			return cmp.Or(cmp.Compare(a.BrokerName, b.BrokerName), cmp.Compare(a.QueueId, b.QueueId))
		})
		return sorted[m.Queue.QueueId%len(sorted)]
	}
	s.turn[m.Topic]++
	return queues[s.turn[m.Topic]%len(queues)]
}
