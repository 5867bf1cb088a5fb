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
	name         string // the topic's, as the subscriber calls it
	topic, group string // as the broker does

	out      *outlet
	consumer client.PullConsumer
	queues   *assignment
	read     *progress

	ctx    context.Context // of poll and refresh
	cancel context.CancelFunc
	slots  chan struct{}  // one for each message that is handed out
	tasks  sync.WaitGroup // all that runs, but nudge
	once   sync.Once

	nudging chan struct{} // has a value while nudge is at work
}

// pullSize is how many messages the client asks for at once. It keeps up to 37
// pulls of a queue that were not taken yet.
const pullSize = 32

func (b *Bus) subscribe(ctx context.Context, cfg SubscriberConfig, name, group string, out *outlet) (*subscription, error) {
	topic := atBroker(name)
	// The client would begin, fail, and shut itself down.
	if err := b.verifyTopic(ctx, topic); err != nil {
		return nil, err
	}
	s := &subscription{
		bus: b, cfg: cfg, name: name, topic: topic, group: group, out: out,
		queues: newAssignment(topic), read: newProgress(), slots: make(chan struct{}, cfg.Handlers), nudging: make(chan struct{}, 1),
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

// poll hands out what the client has pulled, in the order in which it lies in
// each queue.
func (s *subscription) poll() {
	for s.ctx.Err() == nil {
		request, err := s.consumer.Poll(s.ctx, pollTimeout)
		if err != nil { // there is nothing, or a queue was lost meanwhile
			continue
		}
		open := new(atomic.Int64) // what is not acknowledged of this pull
		open.Store(int64(len(request.GetMsgList())))
		for _, m := range request.GetMsgList() {
			if !s.handle(request, m, open) {
				return
			}
		}
	}
}

// handle hands out a message, and sees to what becomes of it. It returns false
// at the end.
func (s *subscription) handle(request *consumer.ConsumeRequest, m *primitive.MessageExt, open *atomic.Int64) bool {
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return false
	}
	have := request.GetPQ()
	if have.IsDroppd() { // another reads the queue, and gets the message too
		<-s.slots
		return true
	}
	s.read.begin(have, *request.GetMQ(), m.QueueOffset)
	h := s.out.hand(decode(m))
	if h == nil {
		return false
	}
	s.tasks.Go(func() {
		defer func() { <-s.slots }()
		if !s.out.settle(h, have.IsDroppd) {
			return
		}
		s.read.done(have, m.QueueOffset)
		if open.Add(-1) == 0 { // the client is told of a pull as a whole
			s.consumer.ACK(context.Background(), request, consumer.ConsumeSuccess)
		}
	})
	return true
}

// The brokers are told how far we have come, and that we are here. The client
// says the first every 5 s, and of whole pulls; and the second every 30 s, too
// late for a broker that was restarted.
const (
	noteInterval = time.Second
	heartbeats   = 5  // notes from one to the next
	strange      = 10 // notes for which a broker may not know us
)

func (s *subscription) refresh() {
	tick := time.NewTicker(noteInterval)
	defer tick.Stop()
	for n, unknown := 1, 0; ; n++ {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		s.note()
		select {
		case <-s.queues.unknown:
			if unknown++; unknown == strange {
				s.bus.cfg.Logger.Warn("rocketmq: the broker does not take us for a member of the group: may it create the group, and may we read?",
					"group", s.group, "topic", s.topic)
			}
			s.nudge()
		default:
			unknown = 0
			if n%heartbeats == 0 {
				s.nudge()
			}
		}
	}
}

// nudge has the client ask for the route, send a heartbeat, and share out the
// queues anew: all that Start does when it is called again. That waits for
// servers that are silent for up to 15 s, so nobody waits for it.
func (s *subscription) nudge() {
	select {
	case s.nudging <- struct{}{}:
	default:
		return // it is at work
	}
	go func() {
		defer func() { <-s.nudging }()
		if err := s.consumer.Start(); err != nil {
			s.bus.cfg.Logger.Warn("rocketmq: the client does not go on", "group", s.group, "topic", s.topic, "error", err)
		}
	}()
}

// allocate is called by the client when it shares out the queues.
func (s *subscription) allocate(group, self string, queues []*primitive.MessageQueue, members []string) []*primitive.MessageQueue {
	mine, fewer := s.queues.allocate(group, self, queues, members)
	if fewer {
		// When the client loses a queue it tells the broker how far it has
		// come there, and forgets how far it has in the others.
		s.note()
	}
	return mine
}
