package outbox

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tcckit/tcckit/messaging"
)

// Limits of a message. RocketMQ takes 4 MiB, properties included, of which
// there may be 32 KiB; the room that is left is for what an adapter adds.
const (
	// MaxPayload limits the bytes of a payload.
	MaxPayload = 4<<20 - 64<<10
	// MaxMetadata limits the bytes of names and values of the metadata, and 16
	// more for each, with what Write adds.
	MaxMetadata = 24 << 10
	// MaxName limits the bytes of a topic and of a key, MaxID those of an id.
	MaxName = 255
	MaxID   = 64
)

// Message is a message to be published.
type Message struct {
	// ID is the message's UUID at the broker, by which receivers know it again,
	// so unique for ever. Empty: a new UUIDv7.
	ID string
	// Topic is where it goes. Required.
	Topic string
	// Key groups messages, see messaging.MetadataKey.
	Key string
	// Ordered has messages of one topic and key published in the order in which
	// they were written. One that cannot be published holds up those behind it,
	// until it is [StateSent]: while it is [StateFailed] too.
	//
	// The order is that of the rows. Two transactions at once have one only if
	// they exclude each other, so lock what the key stands for before Write, by
	// an UPDATE of the business row.
	Ordered bool
	// Payload may be empty.
	Payload []byte
	// Metadata is the application's, such as headers. Names that begin with
	// "tcckit-" are reserved, but for messaging.MetadataTag.
	Metadata map[string]string
	// ExpectResult has the receiver's result awaited: see [Outbox.Settle].
	ExpectResult bool
	// Delay is how long to wait before it is published, to the millisecond.
	Delay time.Duration

	// reserved is metadata of this package.
	reserved map[string]string
}

// reservedPrefix begins the metadata that is not the application's.
const reservedPrefix = "tcckit-"

func (m *Message) validate(resultTopic string) error {
	switch {
	case m.Topic == "":
		return errors.New("it has no topic")
	case len(m.Topic) > MaxName || !plain(m.Topic):
		return fmt.Errorf("the topic %.80q: want at most %d printable ASCII characters without spaces", m.Topic, MaxName)
	case len(m.ID) > MaxID || !plain(m.ID):
		return fmt.Errorf("the id %.80q: want at most %d printable ASCII characters without spaces", m.ID, MaxID)
	case len(m.Key) > MaxName || !text(m.Key):
		return fmt.Errorf("the key %.80q: want at most %d bytes of UTF-8 without control characters", m.Key, MaxName)
	case m.Ordered && m.Key == "":
		return errors.New("it is ordered and has no key to be ordered by")
	case len(m.Payload) > MaxPayload:
		return fmt.Errorf("a payload of %d bytes: want at most %d", len(m.Payload), MaxPayload)
	case m.Delay < 0 || m.Delay > math.MaxInt32*time.Second:
		return fmt.Errorf("a delay of %s", m.Delay)
	case m.ExpectResult && resultTopic == "":
		return errors.New("it expects a result, and Config.ResultTopic is not set")
	}
	for name := range m.Metadata {
		if strings.HasPrefix(name, reservedPrefix) && name != messaging.MetadataTag {
			return fmt.Errorf("the metadata name %.80q is reserved", name)
		}
	}
	return nil
}

// plain reports whether s has printable ASCII characters only, and no space.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// text reports whether s is UTF-8 without control characters, which RocketMQ
// separates properties by.
func text(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// headers returns the whole metadata, and its size.
func (m *Message) headers(trace map[string]string, resultTopic string) (map[string]string, int, error) {
	all := make(map[string]string, len(m.Metadata)+len(trace)+2)
	maps.Copy(all, m.Metadata)
	maps.Copy(all, trace)
	maps.Copy(all, m.reserved)
	if m.Key != "" {
		all[messaging.MetadataKey] = m.Key
	}
	if m.ExpectResult {
		all[messaging.MetadataResultTopic] = resultTopic
	}
	size := 0
	for name, value := range all {
		if name == "" || !text(name) || !text(value) {
			return nil, 0, fmt.Errorf("the metadata %.80q: want a name and a value of UTF-8 without control characters", name)
		}
		size += len(name) + len(value)
		if size+16*len(all) > MaxMetadata {
			return nil, 0, fmt.Errorf("its metadata is too long: want at most %d bytes", MaxMetadata)
		}
	}
	return all, size, nil
}

// lane is the order that a message belongs to, 0 if to none. It is a hash: two
// orders that should have the same would wait for each other, no more.
func (m *Message) lane() int64 {
	if !m.Ordered {
		return 0
	}
	sum := sha256.Sum256([]byte(m.Topic + "\x00" + m.Key))
	return max(1, int64(binary.BigEndian.Uint64(sum[:])>>1))
}

func (m *Message) id() (string, error) {
	if m.ID != "" {
		return m.ID, nil
	}
	id, err := uuid.NewV7()
	return id.String(), err
}
