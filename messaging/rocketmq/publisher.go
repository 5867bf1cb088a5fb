package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	client "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.opentelemetry.io/otel/propagation"

	"github.com/tcckit/tcckit/messaging"
)

// The defaults of [PublisherConfig].
const (
	DefaultBatch = 128
	DefaultSends = 64
)

// PublisherConfig configures [Bus.Publisher].
type PublisherConfig struct {
	// Group is the producers' group. Empty means [DefaultProducerGroup].
	Group string
	// Batch is how many messages are sent at once, at most; they also stay
	// below 4 MiB together. 0 means [DefaultBatch].
	Batch int
	// Sends is how many batches may be on their way at once, of all calls of
	// Publish, those included whose caller has given up. 0 means
	// [DefaultSends].
	Sends int
}

func (c *PublisherConfig) setDefaults() error {
	if c.Group == "" {
		c.Group = DefaultProducerGroup
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Sends == 0 {
		c.Sends = DefaultSends
	}
	if c.Batch < 0 || c.Sends < 0 {
		return fmt.Errorf("want more than 0 for Batch and Sends, got %d and %d", c.Batch, c.Sends)
	}
	return checkName("group", c.Group, maxGroup)
}

// Publisher returns a publisher, which the bus closes if the caller does not.
//
// Publish returns nil when a broker has stored each message (its SEND_OK), and
// otherwise an error that says who is to blame: [messaging.ErrUnavailable],
// [messaging.ErrPermanent], [ErrUnknownTopic]. A message that is wrong keeps all
// of its call from being sent. After any other error some may have been stored,
// and the call is to be repeated. The contexts of the messages, and
// Config.SendTimeout, bound it.
//
// Messages that have a key (messaging.MetadataKey) keep their order, as do those
// that have none, on a topic of one queue. A message with a delay has none.
func (b *Bus) Publisher(cfg PublisherConfig) (message.Publisher, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("rocketmq: publisher: %w", err)
	}
	if b.InProcess() {
		p := &localPublisher{bus: b}
		return p, b.own(p)
	}
	queues := newSelector()
	producer, err := client.NewProducer(b.producerOptions(cfg.Group, queues)...)
	if err != nil {
		return nil, fmt.Errorf("rocketmq: publisher: %w", messaging.Unavailable(err))
	}
	// From here on it must not be shut down unless it was started: it would
	// take a producer of the same name with it.
	if err := producer.Start(); err != nil {
		return nil, fmt.Errorf("rocketmq: publisher: %w", err)
	}
	p := &publisher{bus: b, cfg: cfg, producer: producer, queues: queues, slots: make(chan struct{}, cfg.Sends)}
	if err := b.own(p); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

type publisher struct {
	bus      *Bus
	cfg      PublisherConfig
	producer client.Producer
	queues   *selector
	slots    chan struct{} // one for each batch on its way

	mu       sync.Mutex
	closed   bool
	sends    sync.WaitGroup
	shutdown sync.Once
}

// Publish implements message.Publisher.
func (p *publisher) Publish(topic string, messages ...*message.Message) error {
	if len(messages) == 0 {
		return nil
	}
	begin := time.Now()
	err := p.publish(topic, messages)
	p.bus.telemetry.published(messages[0].Context(), topic, len(messages), time.Since(begin), err)
	if err != nil {
		return fmt.Errorf("rocketmq: publishing to %s: %w", topic, err)
	}
	return nil
}

func (p *publisher) publish(topic string, messages []*message.Message) error {
	if err := checkName("topic", topic, maxTopic); err != nil {
		return err
	}
	topic = atBroker(topic)
	all := make([]outgoing, len(messages))
	for i, m := range messages {
		var err error
		if all[i], err = encode(topic, m, p.bus.trace(m)); err != nil {
			return err
		}
	}
	p.queues.merge(topic, all)
	ctx, cancel := contextOf(messages)
	defer cancel()
	for _, batch := range batches(all, p.cfg.Batch) {
		if err := p.send(ctx, topic, batch); err != nil {
			return err
		}
	}
	return nil
}

// trace is the trace context of m's context, unless m brings one.
func (b *Bus) trace(m *message.Message) map[string]string {
	carrier := propagation.MapCarrier{}
	b.cfg.Propagator.Inject(m.Context(), carrier)
	for k := range carrier {
		if _, ok := m.Metadata[k]; ok {
			return nil
		}
	}
	return carrier
}

// contextOf ends when the context of any of messages does.
func contextOf(messages []*message.Message) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(messages[0].Context())
	stops := make([]func() bool, 0, len(messages))
	for _, m := range messages[1:] {
		if of := m.Context(); of.Done() != nil {
			stops = append(stops, context.AfterFunc(of, func() { cancel(of.Err()) }))
		}
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}

// The time before a batch that could not be sent is sent again.
const (
	minPause = 20 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// send sends a batch, and again while it is known not to have arrived and there
// is time: a batch whose answer is missing is not, for it may be there twice
// then. Each attempt sends the same messages, with the same ids.
func (p *publisher) send(ctx context.Context, topic string, batch []*primitive.Message) error {
	ctx, cancel := context.WithTimeout(ctx, p.bus.cfg.SendTimeout)
	defer cancel()
	err := p.attempt(ctx, topic, batch)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		if err == nil || !errors.Is(err, messaging.ErrUnavailable) || errors.Is(err, errNoAnswer) || errors.Is(err, ErrClosed) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return err
		}
		err = p.attempt(ctx, topic, batch)
	}
}

// attempt sends a batch once. The client does not heed ctx while it waits for a
// name server, up to 24 s, so that it is left alone when ctx ends; the number
// of those is bounded.
func (p *publisher) attempt(ctx context.Context, topic string, batch []*primitive.Message) error {
	if ctx.Err() != nil {
		return messaging.Unavailable(ctx.Err())
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return messaging.Unavailable(fmt.Errorf("%d batches are on their way: %w", p.cfg.Sends, ctx.Err()))
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.slots
		return ErrClosed
	}
	p.sends.Add(1)
	p.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		defer p.sends.Done()
		defer func() { <-p.slots }()
		done <- p.sendSync(ctx, batch)
	}()
	select {
	case err := <-done:
		return p.bus.classify(ctx, topic, err)
	case <-ctx.Done():
	}
	select { // it may have come at the same moment
	case err := <-done:
		return p.bus.classify(ctx, topic, err)
	default:
		return messaging.Unavailable(errNoAnswer)
	}
}

func (p *publisher) sendSync(ctx context.Context, batch []*primitive.Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p.bus.cfg.Logger.ErrorContext(ctx, "rocketmq: the client panicked", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the client panicked: %v", v)
		}
	}()
	result, err := p.producer.SendSync(ctx, batch...)
	if err != nil {
		return err
	}
	if result.Status != primitive.SendOK {
		return messaging.Unavailable(fmt.Errorf("the broker has stored it, but not as safely as it is set up to: %s", status(result.Status)))
	}
	return nil
}

// status names what a broker says of a message that it has stored.
func status(s primitive.SendStatus) string {
	switch s {
	case primitive.SendFlushDiskTimeout:
		return "FLUSH_DISK_TIMEOUT"
	case primitive.SendFlushSlaveTimeout:
		return "FLUSH_SLAVE_TIMEOUT"
	case primitive.SendSlaveNotAvailable:
		return "SLAVE_NOT_AVAILABLE"
	default:
		return fmt.Sprintf("status %d", s)
	}
}

// Close waits for what is on its way and shuts the producer down. It may be
// called more than once.
func (p *publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.bus.disown(p)
	var err error
	p.shutdown.Do(func() {
		p.sends.Wait()
		err = p.producer.Shutdown()
	})
	return err
}
