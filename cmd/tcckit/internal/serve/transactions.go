package serve

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/tcc"
)

// transactions sends half messages for a service while the broker is there.
type transactions struct {
	messages *messages
	service  string
	db       *database.DB

	mu  sync.RWMutex
	now *rocketmq.Transactions // nil while the broker is away
}

var _ late = (*transactions)(nil)

// transactions returns what sends a service's half messages to the topics named.
func (m *messages) transactions(service string, db *database.DB, topics ...string) *transactions {
	t := &transactions{messages: m, service: service, db: db}
	m.late = append(m.late, t)
	m.topics = append(m.topics, topics...)
	return t
}

func (t *transactions) connect(ctx context.Context, bus *rocketmq.Bus) error {
	now, err := rocketmq.NewTransactions(ctx, rocketmq.TransactionsConfig{
		Bus: bus, Group: t.messages.prefix.at(t.service), DB: t.db.SQL(), Dialect: dialectOf(t.db),
	})
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = now
	return nil
}

func (t *transactions) disconnect() error {
	t.mu.Lock()
	now := t.now
	t.now = nil
	t.mu.Unlock()
	return now.Close()
}

// errBrokerAway is the answer while there is no broker: nothing has happened.
var errBrokerAway = tcc.Retry(errors.New("RocketMQ cannot be reached just now"))

func (t *transactions) current() (*rocketmq.Transactions, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.now == nil {
		return nil, errBrokerAway
	}
	return t.now, nil
}

// Send implements bank.Sender.
func (t *transactions) Send(ctx context.Context, topic string, msg *message.Message, work func(ctx context.Context, tx *sql.Tx) error) error {
	now, err := t.current()
	if err != nil {
		return err
	}
	return now.Send(ctx, t.messages.prefix.at(topic), msg, work)
}

// Do implements order.Announcer.
func (t *transactions) Do(ctx context.Context, topic string, msg *message.Message, business func(ctx context.Context, record func(context.Context, messaging.Tx) error) error) error {
	now, err := t.current()
	if err != nil {
		return err
	}
	return now.Do(ctx, t.messages.prefix.at(topic), msg, business)
}
