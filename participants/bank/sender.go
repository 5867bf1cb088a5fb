package bank

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// Sender sends a message if, and only if, the transaction commits in which it
// runs work. Work's error comes back, and then nothing happened; an error of
// another kind may also mean that the answer to COMMIT was lost.
// rocketmq.Transactions does it by a half message.
type Sender interface {
	Send(ctx context.Context, topic string, msg *message.Message, work func(ctx context.Context, tx *sql.Tx) error) error
}

// NewOutboxSender returns a Sender for brokers without half messages: it writes
// the message to the outbox in work's transaction. The outbox is in db.
func NewOutboxSender(db *database.DB, o *outbox.Outbox) (Sender, error) {
	if db == nil || o == nil {
		return nil, errors.New("bank: a sender needs a database and its outbox")
	}
	return &outboxSender{db, o}, nil
}

type outboxSender struct {
	db     *database.DB
	outbox *outbox.Outbox
}

// Send implements [Sender]. It runs work again after a deadlock. Of the metadata
// that is reserved only the key and the tag are known to an outbox.
func (s *outboxSender) Send(ctx context.Context, topic string, msg *message.Message, work func(ctx context.Context, tx *sql.Tx) error) error {
	metadata := maps.Clone(map[string]string(msg.Metadata))
	maps.DeleteFunc(metadata, func(name, _ string) bool {
		return strings.HasPrefix(name, "tcckit-") && name != messaging.MetadataTag
	})
	out := outbox.Message{ID: msg.UUID, Topic: topic, Key: msg.Metadata.Get(messaging.MetadataKey), Payload: msg.Payload, Metadata: metadata}
	err := s.db.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := work(ctx, tx); err != nil {
			return err
		}
		return s.outbox.Write(ctx, tx, out)
	})
	if err == nil {
		s.outbox.Wake()
	}
	return err
}
