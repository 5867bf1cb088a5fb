package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// The defaults of [SubscriberConfig].
const (
	DefaultHandlers     = 16
	DefaultNackDelay    = time.Second
	DefaultDrainTimeout = 15 * time.Second
)

// SubscriberConfig configures [Bus.Subscriber]. Group is required.
type SubscriberConfig struct {
	// Group names who reads: of its members, one gets each message. RocketMQ
	// knows the group of a topic by this name, "-" and the topic, with _ in
	// place of dots.
	Group string
	// Handlers is how many messages of a subscription may be handed out and
	// not acknowledged at once. 0 means [DefaultHandlers].
	Handlers int
	// Ordered hands out one message at a time, and the next one when that
	// was acknowledged: the messages of a queue, and so of a key, arrive in
	// order. Where a queue passes from one member of the group to another,
	// the last messages may be handed out again, by both at once, again in
	// order; inbox keeps what comes of it in order.
	Ordered bool
	// NackDelay is the time before a message that was not acknowledged is
	// handed out again, here, in its place. 0 means [DefaultNackDelay].
	NackDelay time.Duration
	// DrainTimeout bounds how long a subscription that ends waits for what it
	// has handed out. 0 means [DefaultDrainTimeout].
	DrainTimeout time.Duration
}

func (c *SubscriberConfig) setDefaults() error {
	if c.Handlers == 0 {
		c.Handlers = DefaultHandlers
	}
	if c.Ordered {
		c.Handlers = 1
	}
	if c.NackDelay == 0 {
		c.NackDelay = DefaultNackDelay
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = DefaultDrainTimeout
	}
	if c.Handlers < 0 || c.NackDelay < 0 || c.DrainTimeout < 0 {
		return errors.New("want more than 0 for Handlers, NackDelay and DrainTimeout")
	}
	return checkName("group", c.Group, maxGroup)
}

// Subscriber returns a subscriber, which the bus closes if the caller does not.
//
// A group that is new gets the messages that are there already. What is handed
// out stays with this process until it is acknowledged: nacked, it is handed out
// again after NackDelay; neither, it holds one of Handlers. Messages are handed
// out to another member when this one's subscription has ended or its process
// has, and not before.
//
// Each call of Subscribe is a member of the group with connections and some
// goroutines of the client that outlive it, a few for weeks: subscribe once and
// keep it.
func (b *Bus) Subscriber(cfg SubscriberConfig) (message.Subscriber, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("rocketmq: subscriber: %w", err)
	}
	s := &subscriber{bus: b, cfg: cfg, members: map[member]struct{}{}}
	return s, b.own(s)
}

// member is one subscription of a group.
type member interface {
	// close ends it, and returns when it has ended.
	close()
}

type subscriber struct {
	bus *Bus
	cfg SubscriberConfig

	mu      sync.Mutex
	closed  bool
	members map[member]struct{}
	joining sync.WaitGroup
}

var _ message.SubscribeInitializer = (*subscriber)(nil)

// SubscribeInitialize creates the topic if it does not exist: with one queue if
// the subscriber is Ordered, else with [DefaultQueues].
func (s *subscriber) SubscribeInitialize(topic string) error {
	t := Topic{Name: topic}
	if s.cfg.Ordered {
		t.Queues = 1
	}
	return s.bus.EnsureTopics(context.Background(), t)
}

// Subscribe implements message.Subscriber. The topic must exist.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.joining.Add(1)
	s.mu.Unlock()
	defer s.joining.Done()
	out, m, err := s.join(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("rocketmq: subscribing %s to %s: %w", s.cfg.Group, topic, err)
	}
	s.mu.Lock()
	s.members[m] = struct{}{}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		m.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.members, m)
	})
	return out, nil
}

func (s *subscriber) join(ctx context.Context, topic string) (<-chan *message.Message, member, error) {
	group := groupOf(s.cfg.Group, topic)
	if err := errors.Join(checkName("topic", topic, maxTopic), checkName("group", group, maxGroup)); err != nil {
		return nil, nil, err
	}
	o := newOutlet(ctx, s.cfg.NackDelay, s.bus.telemetry.delivered(topic, s.cfg.Group))
	if s.bus.InProcess() {
		return o.out, joinLocal(s.bus.local, s.cfg, topic, o), nil
	}
	m, err := s.bus.subscribe(ctx, s.cfg, topic, group, o)
	if err != nil {
		o.cancel()
		return nil, nil, err
	}
	return o.out, m, nil
}

// Close ends all subscriptions, each as its context's end does, and returns when
// they have. It may be called more than once.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.bus.disown(s)
	s.joining.Wait()
	s.mu.Lock()
	all := s.members
	s.members = map[member]struct{}{}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for m := range all {
		wg.Go(m.close)
	}
	wg.Wait()
	return nil
}
