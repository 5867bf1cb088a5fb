package rocketmq

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/tcckit/tcckit/messaging"
)

// The bounds of a message. A broker refuses more than 4 MiB with all that
// belongs to it, and more than 32 KiB of properties, some of which are its own.
const (
	// MaxPayload is the size of the largest payload, in bytes.
	MaxPayload = 4<<20 - 32<<10
	// MaxMetadata is the size of the most metadata, names and values and a few
	// bytes for each, in bytes.
	MaxMetadata = 30 << 10
	// MaxDelay is the longest time that a broker keeps a message back.
	MaxDelay = 72 * time.Hour
)

// The properties of a message that are ours. RocketMQ has its own among them
// (KEYS, TAGS, SHARDING_KEY, ...), drops those that are empty, and refuses an
// empty body.
const (
	propertyID           = "tcckit-id"
	propertyEmptyPayload = "tcckit-empty-payload"
	prefixMetadata       = "md-"
	prefixEmptyMetadata  = "me-"
	propertyTimerDelay   = "TIMER_DELAY_MS"
	mark                 = "1"
)

// outgoing is a message as the client wants it.
type outgoing struct {
	*primitive.Message
	size  int  // in a batch
	alone bool // cannot be in one
}

// encode returns m for the client. Its error is [messaging.ErrPermanent]: a
// broker would refuse the message, or change it.
func encode(topic string, m *message.Message, extra map[string]string) (outgoing, error) {
	out, err := encodeMessage(topic, m, extra)
	if err != nil {
		return outgoing{}, messaging.Permanent(fmt.Errorf("message %q: %w", m.UUID, err))
	}
	return out, nil
}

func encodeMessage(topic string, m *message.Message, extra map[string]string) (outgoing, error) {
	if len(m.Payload) > MaxPayload {
		return outgoing{}, fmt.Errorf("its payload has %d bytes: want up to %d", len(m.Payload), MaxPayload)
	}
	// The client may still be sending when the caller has given up.
	msg := primitive.NewMessage(topic, bytes.Clone(m.Payload))
	p := properties{values: map[string]string{}}
	if len(m.Payload) == 0 {
		msg.Body = []byte{0}
		p.add(propertyEmptyPayload, mark)
	}
	p.add(propertyID, m.UUID)
	for k, v := range m.Metadata {
		if k != messaging.MetadataDelay { // it is for this time only
			p.addMetadata(k, v)
		}
	}
	for k, v := range extra {
		p.addMetadata(k, v)
	}
	key := m.Metadata.Get(messaging.MetadataKey)
	if key != "" {
		p.add(primitive.PropertyShardingKey, key)
		msg.Queue = &primitive.MessageQueue{QueueId: shardOf(key)}
	}
	p.add(primitive.PropertyKeys, strings.TrimSpace(m.UUID+primitive.PropertyKeySeparator+key))
	p.add(primitive.PropertyTags, m.Metadata.Get(messaging.MetadataTag))
	// The same in each attempt to send it, by which the broker's console knows
	// that they are one message.
	p.add(primitive.PropertyUniqueClientMessageIdKeyIndex, primitive.CreateUniqID())
	delay, err := delayOf(m)
	if err != nil {
		return outgoing{}, err
	}
	if delay > 0 {
		p.add(propertyTimerDelay, strconv.FormatInt(delay.Milliseconds(), 10))
	}
	if err := p.check(); err != nil {
		return outgoing{}, err
	}
	msg.WithProperties(p.values)
	const overhead = 22 // of a message in a batch
	return outgoing{Message: msg, size: overhead + len(msg.Body) + p.size, alone: delay > 0}, nil
}

// delayOf is how long the broker shall keep m back, in whole milliseconds.
func delayOf(m *message.Message) (time.Duration, error) {
	v, ok := m.Metadata[messaging.MetadataDelay]
	if !ok {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > MaxDelay {
		return 0, fmt.Errorf("its delay is %q: want a duration up to %s", v, MaxDelay)
	}
	return max(d, time.Millisecond).Truncate(time.Millisecond), nil
}

// properties collects those of one message.
type properties struct {
	values map[string]string
	size   int
	err    error
}

// add drops an empty value, as the client would.
func (p *properties) add(name, value string) {
	if value == "" {
		return
	}
	for _, s := range [2]string{name, value} {
		if p.err == nil && (!utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x01\x02")) {
			p.err = fmt.Errorf("its %s %q: want UTF-8 without the characters 0, 1 and 2, between which RocketMQ puts properties", name, value)
		}
	}
	p.values[name] = value
	p.size += len(name) + len(value) + 2
}

func (p *properties) addMetadata(name, value string) {
	if value == "" {
		p.add(prefixEmptyMetadata+name, mark)
	} else {
		p.add(prefixMetadata+name, value)
	}
}

func (p *properties) check() error {
	if p.err == nil && p.size > MaxMetadata {
		return fmt.Errorf("its metadata have %d bytes: want up to %d", p.size, MaxMetadata)
	}
	return p.err
}

// decode returns what encode was given. A message of another sender gets its
// properties as metadata, and the id that RocketMQ knows it by.
func decode(msg *primitive.MessageExt) *message.Message {
	all := msg.GetProperties()
	id, ours := all[propertyID]
	if _, keys := all[propertyEmptyPayload]; keys {
		ours = true
	}
	m := message.NewMessage(id, msg.Body)
	for name, value := range all {
		if k, ok := strings.CutPrefix(name, prefixMetadata); ok {
			m.Metadata.Set(k, value)
			ours = true
		} else if k, ok := strings.CutPrefix(name, prefixEmptyMetadata); ok {
			m.Metadata.Set(k, "")
			ours = true
		}
	}
	if all[propertyEmptyPayload] != "" {
		m.Payload = message.Payload{}
	}
	if !ours {
		m.UUID = msg.MsgId
		for name, value := range all {
			m.Metadata.Set(name, value)
		}
	}
	return m
}
