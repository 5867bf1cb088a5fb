package rocketmq

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	client "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/tcckit/tcckit/messaging"
)

// pushConsumer is the client's consumer, with what it does not have in its
// interface.
type pushConsumer interface {
	client.PushConsumer
	PersistConsumerOffset() error
}

// subscription is a member of a group at the brokers.
//
// The client's consumer is used in its concurrent mode only, also for order,
// with one message for each call of handle, which returns success or, once the
// queue is not ours any more, something that the client ignores. So it never
// sends a message back to a broker, where it would be lost if the broker
// refused, and it never orders by its locks, which expire, lose what is nacked,
// and race.
type subscription struct {
	bus          *Bus
	cfg          SubscriberConfig
	topic, group string

	out      *outlet
	consumer pushConsumer
	queues   *assignment
	read     *progress

	stopRefresh closer
	refreshed   sync.WaitGroup
	stopped     chan struct{} // closed when the consumer was shut down
	once        sync.Once
}

// never is a time that does not come. When the client's timeout of a message
// passes, it sends it back to the broker, and forgets it.
const never = time.Duration(math.MaxInt64)

func (b *Bus) subscribe(ctx context.Context, cfg SubscriberConfig, topic, group string, out *outlet) (*subscription, error) {
	// The client would begin, fail, and shut itself down.
	if err := b.verifyTopic(ctx, topic); err != nil {
		return nil, err
	}
	s := &subscription{
		bus: b, cfg: cfg, topic: topic, group: group, out: out,
		read: newProgress(), stopped: make(chan struct{}),
	}
	s.queues = newAssignment(topic, s.read.forget)
	c, err := consumer.NewPushConsumer(append([]consumer.Option{
		consumer.WithNsResolver(b.resolver),
		consumer.WithGroupName(group),
		consumer.WithInstance(instance("consumer")),
		consumer.WithConsumerModel(consumer.Clustering),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeMessageBatchMaxSize(1),
		consumer.WithConsumeGoroutineNums(cfg.Handlers),
		consumer.WithConsumeTimeout(never),
		consumer.WithStrategy(s.queues.allocate),
		// What is pulled and not handed out is bounded by the client's channel
		// of 32 pulls for each queue, before which it waits. Its other bounds
		// have it sleep and look again.
		consumer.WithPullBatchSize(32),
		consumer.WithPullThresholdForQueue(math.MaxUint16),
		consumer.WithConsumeConcurrentlyMaxSpan(math.MaxUint16),
	}, b.consumerCredentials()...)...)
	if err != nil {
		return nil, messaging.Unavailable(err)
	}
	s.consumer = c
	if err := c.Subscribe(topic, consumer.MessageSelector{}, s.handle); err != nil {
		return nil, err
	}
	// If it fails it has shut itself down; to do so again, or before it was
	// started, is a nil dereference.
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, b.verifyTopic(ctx, topic))
	}
	s.refreshed.Go(s.refresh)
	b.track(s)
	return s, nil
}

func (b *Bus) consumerCredentials() []consumer.Option {
	if b.cfg.AccessKey == "" {
		return nil
	}
	return []consumer.Option{consumer.WithCredentials(primitive.Credentials{AccessKey: b.cfg.AccessKey, SecretKey: b.cfg.SecretKey})}
}

var errNotHandled = errors.New("not handled here: the queue is another's, or the subscription has ended")

// handle is called by the client with each message. It must not return, other
// than with success, before the message's queue was taken from the consumer.
func (s *subscription) handle(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	for _, m := range messages { // one
		q := *m.Queue
		s.read.begin(q, m.QueueOffset)
		if !s.out.deliver(decode(m), func() bool { return s.queues.gone(q) }) {
			if !s.queues.gone(q) {
				<-s.stopped
			}
			return consumer.ConsumeRetryLater, errNotHandled
		}
		s.read.done(q, m.QueueOffset)
	}
	return consumer.ConsumeSuccess, nil
}

// refreshInterval is how often the brokers are told that we are here. The
// client does so every 30 s only, so long it would read nothing from a broker
// that was restarted and so has forgotten it.
const refreshInterval = 5 * time.Second

func (s *subscription) refresh() {
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stopRefresh.done():
			return
		case <-tick.C:
		case <-s.queues.unknown:
		}
		s.nudge()
	}
}

// nudge has the consumer ask for the route, send a heartbeat, and share out the
// queues anew: all that Start does when it is called again.
func (s *subscription) nudge() {
	if err := s.consumer.Start(); err != nil {
		s.bus.cfg.Logger.Warn("rocketmq: the client does not go on", "group", s.group, "topic", s.topic, "error", err)
	}
}

// close hands out nothing more, waits for what was handed out, tells the brokers
// how far we have come, gives back the queues, and shuts the consumer down, in
// this order. In any other, what was handled is delivered again; or the client
// sends on a channel that it has closed, in a goroutine that nothing protects.
func (s *subscription) close() {
	s.once.Do(func() {
		s.out.drain(s.cfg.DrainTimeout)
		s.stopRefresh.close()
		s.refreshed.Wait()
		s.commit()
		s.release()
		s.bus.untrack(s)
		if err := s.consumer.Shutdown(); err != nil {
			s.bus.cfg.Logger.Warn("rocketmq: shutting a consumer down", "group", s.group, "topic", s.topic, "error", err)
		}
		s.queues.end()
		close(s.stopped)
	})
}

// The bounds of what a subscription does at its end with brokers that may be
// away.
const (
	commitTimeout  = 5 * time.Second
	releaseTimeout = 5 * time.Second
	endPoll        = 20 * time.Millisecond
)

// commit returns when the brokers know what was acknowledged. The client notes
// that a moment after handle has returned, sends it without waiting for an
// answer, and does so at its end with what it has noted by then.
func (s *subscription) commit() {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	want := s.read.acknowledged()
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	for {
		err := s.consumer.PersistConsumerOffset()
		if err == nil {
			if err = s.checkCommitted(ctx, want); err == nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			s.bus.cfg.Logger.Warn("rocketmq: the broker may not know what was handled last: it will be delivered again",
				"group", s.group, "topic", s.topic, "error", err)
			return
		case <-tick.C:
		}
	}
}

// release has the client give back all queues, and keeps it from taking any.
func (s *subscription) release() {
	s.queues.release()
	timer := time.NewTimer(releaseTimeout)
	defer timer.Stop()
	tick := time.NewTicker(5 * endPoll)
	defer tick.Stop()
	for range 2 { // the second shows that the first is over
		s.nudge()
	}
	for {
		select {
		case <-s.queues.quiet:
			return
		case <-timer.C:
			return // no broker answers, so that none delivers either
		case <-tick.C:
			s.nudge()
		}
	}
}
