package order

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/tcc"
)

// Announcer publishes a message if, and only if, a business transaction
// commits: by an outbox, see [NewOutboxAnnouncer], or by half messages, as
// *rocketmq.Transactions does. docs/messaging.md says when to use which.
type Announcer interface {
	// Do calls business, which must call record in its transaction, as the last
	// thing, each time that it runs it. Business that is not run, as for a
	// duplicate, publishes nothing. Do returns the error of business.
	Do(ctx context.Context, topic string, msg *message.Message,
		business func(ctx context.Context, record func(context.Context, messaging.Tx) error) error) error
}

// announce runs the confirmation of an order, and publishes it as
// order.confirmed.
func (s *Service) announce(ctx context.Context, req *pb.CreateRequest, confirm func(ctx context.Context, record func(context.Context, messaging.Tx) error) error) error {
	if s.cfg.Announcer == nil {
		return confirm(ctx, func(context.Context, messaging.Tx) error { return nil })
	}
	b, ok := tcc.FromContext(ctx)
	if !ok {
		return tcc.ErrNoBranch
	}
	msg, err := announcement(b.GID, req)
	if err != nil {
		return err
	}
	err = s.cfg.Announcer.Do(ctx, event.TopicOrderConfirmed, msg, confirm)
	if errors.Is(err, messaging.ErrUnavailable) { // the broker, for half messages: the coordinator calls again
		return tcc.Retry(err)
	}
	return err
}

// announcement is the message order.confirmed. Its id is that of the order, so
// to speak: however often it is sent, consumers handle it once.
func announcement(gid string, req *pb.CreateRequest) (*message.Message, error) {
	payload, err := event.Encode(&pb.OrderConfirmed{
		OrderId: gid, RequestId: req.GetRequestId(), AccountId: req.GetAccountId(),
		Lines: req.GetLines(), Total: req.GetTotal(), CartLineIds: req.GetCartLineIds(),
		CreateTime: timestamppb.New(createTime(gid)),
	})
	if err != nil {
		return nil, fmt.Errorf("announce order %s: %w", gid, err)
	}
	msg := message.NewMessage(event.ID(event.TopicOrderConfirmed, gid), payload)
	msg.Metadata.Set(messaging.MetadataKey, gid)
	return msg, nil
}

// outboxAnnouncer writes announcements into the order's own database.
type outboxAnnouncer struct{ outbox *outbox.Outbox }

// NewOutboxAnnouncer returns an announcer whose messages are written in the
// transaction that confirms the order, and published afterwards: the broker may
// be away meanwhile. o must be in the order service's database.
func NewOutboxAnnouncer(o *outbox.Outbox) Announcer { return outboxAnnouncer{o} }

// Do implements Announcer.
func (a outboxAnnouncer) Do(ctx context.Context, topic string, msg *message.Message, business func(ctx context.Context, record func(context.Context, messaging.Tx) error) error) error {
	m := outbox.Message{ID: msg.UUID, Topic: topic, Key: msg.Metadata.Get(messaging.MetadataKey), Payload: msg.Payload}
	return business(ctx, func(ctx context.Context, tx messaging.Tx) error { return a.outbox.Write(ctx, tx, m) })
}
