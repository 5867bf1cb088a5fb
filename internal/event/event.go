package event

import (
	"fmt"

	"buf.build/go/protovalidate"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tcckit/tcckit/messaging"
)

// The topics of the shop.
const (
	// TopicOrderConfirmed announces orders: tcckit.order.v1.OrderConfirmed.
	TopicOrderConfirmed = "order.confirmed"
	// TopicExpressTake asks stock to take goods out: tcckit.express.v1.TakeRequested.
	TopicExpressTake = "express.take"
	// TopicExpressResult is where its results go.
	TopicExpressResult = "express.result"
)

// TopicTransfer asks a bank to credit: tcckit.bank.v1.TransferSent.
func TopicTransfer(bank string) string { return "bank.transfer." + bank }

// TopicSettled tells a bank what became of its transfers:
// tcckit.bank.v1.TransferSettled.
func TopicSettled(bank string) string { return "bank.settled." + bank }

// namespace makes the ids of [ID] differ from everybody else's.
func namespace() uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/tcckit/tcckit"))
}

// ID is the message id of what a topic says of a subject: always the same, so
// that a consumer takes a second message about it for a duplicate.
func ID(topic, subject string) string {
	return uuid.NewSHA1(namespace(), []byte(topic+"\x00"+subject)).String()
}

// Encode returns the payload of a message.
func Encode(m proto.Message) ([]byte, error) {
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("event: encode %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return b, nil
}

// Decode reads a message's payload into m, and checks it by the rules of its
// proto file. What it cannot read, or may not believe, is
// [messaging.ErrPermanent]. Fields that this release does not know are passed
// over: a newer one may have sent them.
func Decode(msg *message.Message, m proto.Message) error {
	name := m.ProtoReflect().Descriptor().FullName()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(msg.Payload, m); err != nil {
		return messaging.Permanent(fmt.Errorf("event: message %s is no %s: %w", msg.UUID, name, err))
	}
	if err := protovalidate.Validate(m); err != nil {
		return messaging.Permanent(fmt.Errorf("event: message %s is no valid %s: %w", msg.UUID, name, err))
	}
	return nil
}
