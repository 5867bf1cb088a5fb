package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
)

// errNobody says that a message could not be delivered within the process.
var errNobody = messaging.Unavailable(errors.New("nobody is subscribed to the topic"))

// local is the bus within the process. It is not watermill's gochannel, whose
// Publish reports success also when it is closed before a message was
// acknowledged, delivers to each subscriber rather than to each group, and lets
// nobody subscribe while it waits.
type local struct {
	mu     sync.Mutex
	topics map[string]map[string]*localGroup // by topic and group
}

// localGroup is the members of a group that are subscribed to one topic.
type localGroup struct {
	in      chan *parcel
	empty   chan struct{} // closed when the last member has left
	members int
}

// parcel is a message for one group.
type parcel struct {
	message *message.Message
	acked   chan bool // of room for one
}

func newLocal() *local { return &local{topics: map[string]map[string]*localGroup{}} }

func (l *local) join(topic, group string) *localGroup {
	l.mu.Lock()
	defer l.mu.Unlock()
	groups := l.topics[topic]
	if groups == nil {
		groups = map[string]*localGroup{}
		l.topics[topic] = groups
	}
	g := groups[group]
	if g == nil {
		g = &localGroup{in: make(chan *parcel), empty: make(chan struct{})}
		groups[group] = g
	}
	g.members++
	return g
}

func (l *local) leave(topic, group string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.topics[topic][group]
	if g.members--; g.members > 0 {
		return
	}
	close(g.empty)
	delete(l.topics[topic], group)
	if len(l.topics[topic]) == 0 {
		delete(l.topics, topic)
	}
}

func (l *local) groups(topic string) []*localGroup {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*localGroup, 0, len(l.topics[topic]))
	for _, g := range l.topics[topic] {
		all = append(all, g)
	}
	return all
}

// deliver returns nil when one member of each group has acknowledged m.
func (l *local) deliver(ctx context.Context, topic string, m *message.Message, closed <-chan struct{}) error {
	groups := l.groups(topic)
	if len(groups) == 0 {
		return errNobody
	}
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() { errs[i] = g.deliver(ctx, m, closed) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (g *localGroup) deliver(ctx context.Context, m *message.Message, closed <-chan struct{}) error {
	for {
		p := &parcel{m, make(chan bool, 1)}
		select {
		case g.in <- p:
		case <-g.empty:
			return errNobody
		case <-closed:
			return ErrClosed
		case <-ctx.Done():
			return messaging.Unavailable(fmt.Errorf("no subscriber takes it: %w", ctx.Err()))
		}
		select {
		case acked := <-p.acked:
			if acked {
				return nil
			} // else its member has left: another may take it
		case <-closed:
			return ErrClosed
		case <-ctx.Done():
			return messaging.Unavailable(fmt.Errorf("it was not acknowledged yet: %w", ctx.Err()))
		}
	}
}

type localPublisher struct {
	bus  *Bus
	stop closer
}

// Publish implements message.Publisher.
func (p *localPublisher) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		begin := time.Now()
		err := p.publish(topic, m)
		p.bus.telemetry.published(m.Context(), topic, 1, time.Since(begin), err)
		if err != nil {
			return fmt.Errorf("rocketmq: publishing to %s within the process: %w", topic, err)
		}
	}
	return nil
}

func (p *localPublisher) publish(topic string, m *message.Message) error {
	if err := checkName("topic", topic, maxTopic); err != nil {
		return err
	}
	// What RocketMQ would refuse is refused here too.
	if _, err := encode(topic, m, nil); err != nil {
		return err
	}
	if m.Metadata.Get(messaging.MetadataDelay) != "" {
		return messaging.Permanent(fmt.Errorf("message %q: the bus within the process cannot keep a message back", m.UUID))
	}
	if p.stop.isClosed() {
		return ErrClosed
	}
	c := m.Copy()
	for k, v := range p.bus.trace(m) {
		c.Metadata.Set(k, v)
	}
	return p.bus.local.deliver(m.Context(), topic, c, p.stop.done())
}

// Close ends what is being published.
func (p *localPublisher) Close() error {
	p.bus.disown(p)
	p.stop.close()
	return nil
}
