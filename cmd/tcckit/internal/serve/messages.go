package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/metrics"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cenkalti/backoff/v5"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/observe"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

const (
	// routerTimeout bounds how long handlers under way are waited for at the end.
	routerTimeout = 20 * time.Second
	// reconnectMax is about the longest pause between two attempts to reach the broker, give or take a fifth.
	reconnectMax = 5 * time.Second
)

// consumer is a consumer with the database of its service.
type consumer struct {
	event.Consumer
	service string
	db      *database.DB
}

// late is what works only once the broker is there.
type late interface {
	connect(ctx context.Context, bus *rocketmq.Bus) error
	disconnect() error
}

// messages is what the services of a process publish and consume. A broker that is away does not keep a process
// from starting: what its services announce waits in their outboxes.
type messages struct {
	bus       rocketmq.Config
	prefix    prefix
	telemetry *observe.Telemetry
	log       *slog.Logger
	lease     time.Duration // of the relays

	topics    []string
	outboxes  []*outbox.Outbox
	consumers []consumer
	late      []late
}

// deadLetterTopic is where what a consumer gives up is published.
func deadLetterTopic(consumer string) string { return consumer + ".dead" }

func newMessages(cfg Config, telemetry *observe.Telemetry) *messages {
	return &messages{
		bus: rocketmq.Config{
			NameServers: cfg.RocketMQ.NameServers, AccessKey: cfg.RocketMQ.AccessKey, SecretKey: cfg.RocketMQ.SecretKey,
			Logger: cfg.Logger, MeterProvider: telemetry.MeterProvider(), Propagator: telemetry.Propagator(),
		},
		prefix:    prefix(cfg.RocketMQ.Prefix),
		telemetry: telemetry, log: cfg.Logger, lease: cfg.RelayLease,
	}
}

// dialectOf is how messages are written to a service's database.
func dialectOf(db *database.DB) messaging.Dialect { return messaging.Dialect(db.Dialect()) }

// publish has what is written to a service's outbox published to the topics named.
func (m *messages) publish(ctx context.Context, service string, db *database.DB, resultTopic string, topics ...string) (*outbox.Outbox, error) {
	o, err := outbox.New(ctx, outbox.Config{
		DB: db.SQL(), Dialect: dialectOf(db), ResultTopic: resultTopic, Participant: service,
		Logger: m.log, MeterProvider: m.telemetry.MeterProvider(), Propagator: m.telemetry.Propagator(),
	})
	if err != nil {
		return nil, err
	}
	m.outboxes = append(m.outboxes, o)
	m.topics = append(m.topics, topics...)
	return o, nil
}

// consume has messages handled by a service.
func (m *messages) consume(service string, db *database.DB, consumers ...event.Consumer) {
	for _, c := range consumers {
		m.consumers = append(m.consumers, consumer{Consumer: c, service: service, db: db})
		m.topics = append(m.topics, c.Topic)
	}
}

// idle says that there is nothing to do.
func (m *messages) idle() bool { return len(m.outboxes)+len(m.consumers)+len(m.late) == 0 }

// Run publishes and consumes until ctx ends. While the broker cannot be reached it tries again.
func (m *messages) Run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.RandomizationFactor = 100*time.Millisecond, reconnectMax, 0.2
	for {
		err := m.connected(ctx, pause.Reset)
		if ctx.Err() != nil {
			if err != nil {
				m.log.WarnContext(ctx, "messages: not everything was ended in order", "error", err)
			}
			return
		}
		wait := pause.NextBackOff()
		m.log.WarnContext(ctx, "messages cannot be published or consumed now, and wait", "error", err, "next_attempt_in", wait.Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// connected connects, says so, and works until ctx ends or something does that must not.
func (m *messages) connected(ctx context.Context, reached func()) (err error) {
	bus, err := rocketmq.Open(ctx, m.bus)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	if err := m.ensureTopics(ctx, bus); err != nil {
		return err
	}
	publisher, err := bus.Publisher(rocketmq.PublisherConfig{})
	if err != nil {
		return err
	}
	measured := metrics.NewPrometheusMetricsBuilder(m.telemetry.Registerer(), "tcckit", "messages")
	if publisher, err = measured.DecoratePublisher(publisher); err != nil {
		return err
	}
	publisher = prefixed{publisher, m.prefix}
	for _, l := range m.late {
		if err := l.connect(ctx, bus); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.disconnect()) }()
	}
	work, err := m.relays(publisher)
	if err != nil {
		return err
	}
	inboxes, router, err := m.inboxes(ctx, bus, publisher, measured)
	if err != nil {
		return err
	}
	reached()
	return together(ctx, append(work, inboxes...), router)
}

// together runs all until ctx ends or the router does, and waits for their ends.
func together(ctx context.Context, work []runner, router *message.Router) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	for _, w := range work {
		running.Go(func() { w.Run(ctx) })
	}
	defer running.Wait()
	defer cancel()
	if router == nil {
		<-ctx.Done()
		return nil
	}
	if err := router.Run(ctx); err != nil {
		return err
	}
	if ctx.Err() == nil {
		return errors.New("the subscriptions have ended")
	}
	return nil
}

func (m *messages) ensureTopics(ctx context.Context, bus *rocketmq.Bus) error {
	var topics []rocketmq.Topic
	for _, name := range m.topics {
		topics = append(topics, rocketmq.Topic{Name: m.prefix.at(name)})
	}
	for _, c := range m.consumers {
		topics = append(topics, rocketmq.Topic{Name: m.prefix.at(deadLetterTopic(c.Name)), Queues: 1})
	}
	return bus.EnsureTopics(ctx, topics...)
}

func (m *messages) relays(publisher message.Publisher) ([]runner, error) {
	var relays []runner
	for _, o := range m.outboxes {
		r, err := outbox.NewRelay(outbox.RelayConfig{Outbox: o, Publisher: publisher, Lease: m.lease})
		if err != nil {
			return nil, err
		}
		relays = append(relays, r)
	}
	return relays, nil
}

// inboxes makes an inbox for each consumer, and the router that hands them their messages; nil without any.
func (m *messages) inboxes(ctx context.Context, bus *rocketmq.Bus, deadLetters message.Publisher, measured metrics.PrometheusMetricsBuilder) ([]runner, *message.Router, error) {
	if len(m.consumers) == 0 {
		return nil, nil, nil
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: routerTimeout}, watermill.NewSlogLogger(m.log))
	if err != nil {
		return nil, nil, err
	}
	measured.AddPrometheusRouterMetrics(router)
	if bus.InProcess() {
		deadLetters = nil // nobody would read them; the inbox keeps them
	}
	var inboxes []runner
	for _, c := range m.consumers {
		in, err := inbox.New(ctx, inbox.Config{
			DB: c.db.SQL(), Dialect: dialectOf(c.db), Consumer: c.Name, Topic: c.Topic, Handler: c.Handler,
			DeadLetters: deadLetters, DeadLetterTopic: deadLetterTopic(c.Name),
			Logger: m.log.With("service", c.service), MeterProvider: m.telemetry.MeterProvider(),
			TracerProvider: m.telemetry.TracerProvider(), Propagator: m.telemetry.Propagator(),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.service, err)
		}
		subscriber, err := bus.Subscriber(rocketmq.SubscriberConfig{Group: m.prefix.at(c.Name)})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.service, err)
		}
		router.AddConsumerHandler(c.Name, m.prefix.at(c.Topic), subscriber, in.Handle)
		inboxes = append(inboxes, in)
	}
	return inboxes, router, nil
}
