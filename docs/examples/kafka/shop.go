// Package shop ships orders that another service confirms, with Kafka between
// the two: what an outbox has goes through watermill's own Kafka adapter to an
// inbox. Neither knows which broker it is.
package shop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// Topic is where confirmed orders are announced.
const Topic = "order.confirmed"

// Orders is the service that confirms. Its database has the tables orders (id)
// and outbox.
type Orders struct {
	DB     *sql.DB
	Outbox *outbox.Outbox
}

// Confirm confirms an order and announces it, both or neither.
func (o *Orders) Confirm(ctx context.Context, id string) error {
	tx, err := o.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit an error of no interest
	if _, err := tx.ExecContext(ctx, "INSERT INTO orders (id) VALUES (?)", id); err != nil {
		return err
	}
	// The key decides on the partition: what is about one order stays in order.
	if err := o.Outbox.Write(ctx, tx, outbox.Message{Topic: Topic, Key: id, Ordered: true, Payload: []byte(id)}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	o.Outbox.Wake()
	return nil
}

// Announce publishes what the outbox has until ctx ends.
func (o *Orders) Announce(ctx context.Context, p message.Publisher) error {
	relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: o.Outbox, Publisher: p})
	if err != nil {
		return err
	}
	relay.Run(ctx)
	return nil
}

// Ship handles what a subscriber brings until ctx ends. What it cannot handle
// is a dead letter in the end.
func Ship(ctx context.Context, s message.Subscriber, cfg inbox.Config) error {
	box, err := inbox.New(ctx, cfg)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NewSlogLogger(cfg.Logger))
	if err != nil {
		return err
	}
	router.AddConsumerHandler(cfg.Consumer, cfg.Topic, s, box.Handle)
	// Without box.Run a message that failed would stay parked.
	var retrier sync.WaitGroup
	retrier.Go(func() { box.Run(ctx) })
	defer retrier.Wait()
	return router.Run(ctx)
}

// Publisher publishes to Kafka, with what the outbox needs to know. The relay
// calls it with many messages at once, which the adapter sends one by one.
func Publisher(brokers []string, log *slog.Logger) (message.Publisher, error) {
	cfg := kafka.DefaultSaramaSyncPublisherConfig()
	// Sent means stored, on as many replicas as the topic's min.insync.replicas.
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	// As large as an outbox's may be; the topic's max.message.bytes may be less.
	cfg.Producer.MaxMessageBytes = 5 << 20
	// The adapter does not heed the messages' contexts. To have given up before
	// the relay's lease ends, it must not wait and try for long: the relay does.
	cfg.Producer.Retry.Max = 2
	cfg.Metadata.Retry.Max = 2
	cfg.Metadata.Retry.Backoff = 100 * time.Millisecond
	cfg.Net.DialTimeout, cfg.Net.ReadTimeout, cfg.Net.WriteTimeout = patience, patience, patience
	p, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers:               brokers,
		OverwriteSaramaConfig: cfg,
		Marshaler: kafka.NewWithPartitioningMarshaler(func(_ string, m *message.Message) (string, error) {
			if key := m.Metadata.Get(messaging.MetadataKey); key != "" {
				return key, nil
			}
			return m.UUID, nil
		}),
	}, watermill.NewSlogLogger(log))
	if err != nil {
		return nil, err
	}
	return publisher{p}, nil
}

// patience is how long Kafka has to answer.
const patience = 3 * time.Second

// publisher says who is to blame for an error: while Kafka is away no message
// uses up its tries, and one that Kafka will never take is given up at once.
type publisher struct{ *kafka.Publisher }

func (p publisher) Publish(topic string, msgs ...*message.Message) error {
	err := p.Publisher.Publish(topic, msgs...)
	var down net.Error
	var wrong sarama.ConfigurationError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sarama.ErrMessageSizeTooLarge), errors.As(err, &wrong): // the latter, larger than MaxMessageBytes
		return messaging.Permanent(err)
	case errors.As(err, &down), errors.Is(err, io.EOF), isOneOf(err,
		sarama.ErrOutOfBrokers, sarama.ErrNotConnected, sarama.ErrBrokerNotAvailable, sarama.ErrNetworkException,
		sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrReplicaNotAvailable,
		sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrRequestTimedOut):
		return messaging.Unavailable(err)
	}
	return err // such as an unknown topic: tried again, a number of times
}

func isOneOf(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Subscriber subscribes to Kafka as a member of a group, the members of which
// share a topic's partitions: so many messages are handled at once.
func Subscriber(brokers []string, group string, log *slog.Logger) (message.Subscriber, error) {
	cfg := kafka.DefaultSaramaSubscriberConfig()
	// Otherwise a new group misses what was published before it came.
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	s, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers:               brokers,
		ConsumerGroup:         group,
		OverwriteSaramaConfig: cfg,
		Unmarshaler:           kafka.DefaultMarshaler{},
		NackResendSleep:       kafka.NoSleep, // the inbox pauses before it refuses
	}, watermill.NewSlogLogger(log))
	if err != nil {
		return nil, fmt.Errorf("subscribe as %s: %w", group, err)
	}
	return s, nil
}
