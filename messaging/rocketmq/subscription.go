package rocketmq

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/tcckit/tcckit/messaging"
)

// subscription is a member of a group at the brokers.
//
// It is the client's pull consumer, not its push consumer. That one runs
// handlers in goroutines of its own, where an error or a panic is taken for
// success or forgotten, sends a message back to the broker without looking at
// the answer, orders by locks that expire, and races. This one is asked for
// messages and told which are done.
type subscription struct {
	bus          *Bus
	cfg          SubscriberConfig
	topic, group string

	out      *outlet
	consumer client.PullConsumer
	queues   *assignment
	read     *progress

	ctx     context.Context // of what runs beside the handlers
	cancel  context.CancelFunc
	jobs    chan job
	tasks   sync.WaitGroup // the poller and the refresher
	workers sync.WaitGroup
	once    sync.Once
}

// pulled is what one pull brought. The client is told of it as a whole.
type pulled struct {
	request *consumer.ConsumeRequest
	open    atomic.Int64 // messages that are not acknowledged
}

type job struct {
	of      *pulled
	message *primitive.MessageExt
}

// pullSize is how many messages the client asks for at once. It keeps up to 37
// pulls of a queue that were not taken yet.
const pullSize = 32

func (b *Bus) subscribe(ctx context.Context, cfg SubscriberConfig, topic, group string, out *outlet) (*subscription, error) {
	// The client would begin, fail, and shut itself down.
	if err := b.verifyTopic(ctx, topic); err != nil {
		return nil, err
	}
	s := &subscription{
		bus: b, cfg: cfg, topic: topic, group: group, out: out,
		queues: newAssignment(topic), read: newProgress(), jobs: make(chan job),
	}
	c, err := consumer.NewPullConsumer(append([]consumer.Option{
		consumer.WithNsResolver(b.resolver),
		consumer.WithGroupName(group),
		consumer.WithInstance(instance("consumer")),
		consumer.WithConsumerModel(consumer.Clustering),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithPullBatchSize(pullSize),
		consumer.WithStrategy(s.allocate),
	}, b.consumerCredentials()...)...)
	if err != nil {
		return nil, messaging.Unavailable(err)
	}
	s.consumer = c
	if err := c.Subscribe(topic, consumer.MessageSelector{}); err != nil {
		return nil, err
	}
	// If it fails it has shut itself down; to do so again, or before it was
	// started, is a nil dereference.
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, b.verifyTopic(ctx, topic))
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for range cfg.Handlers {
		s.workers.Go(s.work)
	}
	s.tasks.Go(s.poll)
	s.tasks.Go(s.refresh)
	b.track(s)
	return s, nil
}

func (b *Bus) consumerCredentials() []consumer.Option {
	if b.cfg.AccessKey == "" {
		return nil
	}
	return []consumer.Option{consumer.WithCredentials(primitive.Credentials{AccessKey: b.cfg.AccessKey, SecretKey: b.cfg.SecretKey})}
}

// pollTimeout is how long the client is asked to wait for messages.
const pollTimeout = 10 * time.Second

// poll passes on what the client has pulled, in the order in which it lies in
// each queue.
func (s *subscription) poll() {
	defer close(s.jobs)
	for s.ctx.Err() == nil {
		request, err := s.consumer.Poll(s.ctx, pollTimeout)
		if err != nil { // there is nothing, or a queue was lost meanwhile
			continue
		}
		p := &pulled{request: request}
		p.open.Store(int64(len(request.GetMsgList())))
		for _, m := range request.GetMsgList() {
			select {
			case s.jobs <- job{p, m}:
			case <-s.ctx.Done():
				return
			}
		}
	}
}

// work hands out one message after another.
func (s *subscription) work() {
	for j := range s.jobs {
		q := *j.of.request.GetMQ()
		s.read.begin(q, j.message.QueueOffset)
		// A queue that was lost is read by another, who gets the message too.
		if j.of.request.GetPQ().IsDroppd() || !s.out.deliver(decode(j.message), j.of.request.GetPQ().IsDroppd) {
			continue
		}
		s.read.done(q, j.message.QueueOffset)
		if j.of.open.Add(-1) == 0 {
			s.consumer.ACK(s.ctx, j.of.request, consumer.ConsumeSuccess)
		}
	}
}

// refreshInterval is how often the brokers are told that we are here, and how
// far we have come. The client says the first every 30 s only, too late for a
// broker that was restarted.
const refreshInterval = 5 * time.Second

func (s *subscription) refresh() {
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		case <-s.queues.unknown:
		}
		s.note()
		s.nudge()
	}
}

// nudge has the client ask for the route, send a heartbeat, and share out the
// queues anew: all that Start does when it is called again.
func (s *subscription) nudge() {
	if err := s.consumer.Start(); err != nil {
		s.bus.cfg.Logger.Warn("rocketmq: the client does not go on", "group", s.group, "topic", s.topic, "error", err)
	}
}

// allocate is called by the client when it shares out the queues.
func (s *subscription) allocate(group, self string, queues []*primitive.MessageQueue, members []string) []*primitive.MessageQueue {
	mine, fewer := s.queues.allocate(group, self, queues, members)
	if fewer {
		// When the client loses a queue it tells the broker how far it has
		// come there, and forgets how far it has in the others.
		_ = s.consumer.PersistOffset(s.ctx, s.topic) // fails only when it does not run
		s.read.keep(s.queues.owned())
	}
	return mine
}
