package shop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
)

func TestMain(m *testing.M) {
	// One goroutine of the process's, which sarama's metrics start and nothing ends.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// orders is how many are confirmed, on several partitions.
const (
	orders     = 40
	partitions = 4
)

// Kafka takes RocketMQ's place, away at first, with each message published
// twice, and with one order that cannot be shipped the first two times.
func TestShop(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(partitions, Topic))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	brokers := cluster.ListenAddrs()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))

	shop := &Orders{DB: open(t, outbox.Schema(messaging.SQLite), "CREATE TABLE orders (id TEXT PRIMARY KEY)")}
	shop.Outbox, err = outbox.New(t.Context(), outbox.Config{DB: shop.DB, Dialect: messaging.SQLite, Logger: log})
	require.NoError(t, err)
	publisher, err := Publisher(brokers, log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, publisher.Close()) })

	shipping := &shipping{fails: map[string]int{"order-7": 2}}
	// A table that would take an order's shipment twice.
	shipping.db = open(t, inbox.Schema(messaging.SQLite), "CREATE TABLE shipment (order_id TEXT NOT NULL)")
	subscriber, err := Subscriber(brokers, "shipping", log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, subscriber.Close()) })

	twice := &twice{Publisher: publisher}
	run(t, func(ctx context.Context) error { return shop.Announce(ctx, twice) })
	run(t, func(ctx context.Context) error {
		return Ship(ctx, subscriber, inbox.Config{
			DB: shipping.db, Dialect: messaging.SQLite, Consumer: "shipping", Topic: Topic,
			Handler: shipping.handle, DeadLetters: publisher, Logger: log,
		})
	})

	// While Kafka takes nothing, the outbox keeps everything, and holds it
	// against no message. At the third refusal the first one is noted.
	away := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: Topic, Err: kerr.NotEnoughReplicas, Count: -1})
	for i := range orders {
		require.NoError(t, shop.Confirm(t.Context(), fmt.Sprint("order-", i)))
	}
	eventually(t, "the relay to be refused", func() bool { return twice.refusals.Load() >= 3 })
	require.Zero(t, count(t, shop.DB, "SELECT COUNT(*) FROM outbox WHERE state <> 'NEW' OR last_error IS NOT NULL"))
	away.Remove()

	eventually(t, "everything to be shipped", func() bool {
		return count(t, shipping.db, "SELECT COUNT(DISTINCT order_id) FROM shipment") == orders
	})
	eventually(t, "both of each to be acknowledged", func() bool { return acknowledged(cluster, "shipping") >= 2*orders })
	eventually(t, "the outbox to know it", func() bool {
		return count(t, shop.DB, "SELECT COUNT(*) FROM outbox WHERE state = 'SENT'") == orders
	})
	eventually(t, "each message to have its row", func() bool {
		return count(t, shipping.db, "SELECT COUNT(*) FROM inbox WHERE state = "+fmt.Sprint(int(inbox.Done))) == orders
	})
	require.Equal(t, orders, count(t, shipping.db, "SELECT COUNT(*) FROM shipment"), "what was delivered twice is shipped once")
	require.Equal(t, 3, count(t, shipping.db, "SELECT MAX(tries) FROM inbox"), "two that failed, and one")
}

// An error says who is to blame: the message, for good or not, or Kafka.
func TestPublisherErrors(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, Topic))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	p, err := Publisher(cluster.ListenAddrs(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })

	publish := func(size int) error { return p.Publish(Topic, message.NewMessage("m", make([]byte, size))) }
	require.ErrorIs(t, publish(6<<20), messaging.ErrPermanent, "more than the client sends")
	require.ErrorIs(t, publish(2<<20), messaging.ErrPermanent, "more than the topic takes")
	require.NoError(t, publish(1<<10))
	err = p.Publish("no.such.topic", message.NewMessage("m", nil))
	require.Error(t, err)
	require.NotErrorIs(t, err, messaging.ErrPermanent)
	require.NotErrorIs(t, err, messaging.ErrUnavailable)
	cluster.Close()
	require.ErrorIs(t, publish(1<<10), messaging.ErrUnavailable)
}

// shipping ships orders, some of them not the first time.
type shipping struct {
	db *sql.DB

	mu    sync.Mutex
	fails map[string]int // how often, by order
}

func (s *shipping) handle(_ context.Context, msg *message.Message) (inbox.Work, error) {
	order := string(msg.Payload)
	return func(ctx context.Context, tx *inbox.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO shipment (order_id) VALUES (?)", order); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fails[order]--; s.fails[order] >= 0 {
			return errors.New("no parcel of that size is left")
		}
		return nil
	}, nil
}

// acknowledged is how many messages a group has had.
func acknowledged(cluster *kfake.Cluster, group string) (n int64) {
	info := cluster.GroupInfo(group)
	if info == nil {
		return 0
	}
	for _, commit := range info.Commits[Topic] {
		n += commit.Offset
	}
	return n
}

// twice publishes as a relay does that dies between the publishing and its note
// of it, and begins again.
type twice struct {
	message.Publisher
	refusals atomic.Int64
}

func (p *twice) Publish(topic string, msgs ...*message.Message) error {
	if err := p.Publisher.Publish(topic, msgs...); err != nil {
		p.refusals.Add(1)
		return err
	}
	return p.Publisher.Publish(topic, msgs...)
}

func open(t *testing.T, statements ...string) *sql.DB {
	t.Helper()
	db, err := sqlite.OpenDB(filepath.Join(t.TempDir(), "shop.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err)
	}
	return db
}

// run runs f until the test ends, before what was opened is closed.
func run(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, 5*time.Millisecond, strings.ReplaceAll(what, "%", "%%"))
}
