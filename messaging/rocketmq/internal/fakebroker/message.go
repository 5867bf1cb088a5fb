package fakebroker

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// Message is one that the broker has stored.
type Message struct {
	Topic      string
	Queue      int
	Offset     int64
	Properties map[string]string
	Body       []byte

	properties string
	sysFlag    int32
	born       int64
	position   int64 // in the log of all messages
}

// The client separates a property's name from its value, and properties, by
// these.
const (
	nameEnd     = "\x01"
	propertyEnd = "\x02"
)

func parseProperties(s string) map[string]string {
	properties := map[string]string{}
	for item := range strings.SplitSeq(s, propertyEnd) {
		if name, value, ok := strings.Cut(item, nameEnd); ok {
			properties[name] = value
		}
	}
	return properties
}

// loopback is 127.0.0.1 as messages hold it.
const loopback = 0x7f000001

// offsetID is the broker's own id of a message: its host, port and position.
func offsetID(position int64) string { return fmt.Sprintf("%08X%08X%016X", loopback, 0, position) }

// encode appends the message as a broker stores it and clients read it.
func (m Message) encode(to []byte) []byte {
	size := 4 + 4 + 4 + 4 + 4 + 8 + 8 + 4 + 8 + 8 + 8 + 8 + 4 + 8 + 4 + len(m.Body) + 1 + len(m.Topic) + 2 + len(m.properties)
	be := binary.BigEndian
	to = be.AppendUint32(to, uint32(size))
	to = be.AppendUint32(to, 0xDAA320A7) // magic
	to = be.AppendUint32(to, crc32.ChecksumIEEE(m.Body))
	to = be.AppendUint32(to, uint32(m.Queue))
	to = be.AppendUint32(to, 0) // flag
	to = be.AppendUint64(to, uint64(m.Offset))
	to = be.AppendUint64(to, uint64(m.position))
	to = be.AppendUint32(to, uint32(m.sysFlag))
	to = be.AppendUint64(to, uint64(m.born))
	to = be.AppendUint32(to, loopback) // the sender's host and port
	to = be.AppendUint32(to, 0)
	to = be.AppendUint64(to, uint64(m.born)) // when it was stored
	to = be.AppendUint32(to, loopback)       // the broker's host and port
	to = be.AppendUint32(to, 0)
	to = be.AppendUint32(to, 0) // tries
	to = be.AppendUint64(to, 0) // prepared transaction's offset
	to = be.AppendUint32(to, uint32(len(m.Body)))
	to = append(to, m.Body...)
	to = append(to, byte(len(m.Topic)))
	to = append(to, m.Topic...)
	to = be.AppendUint16(to, uint16(len(m.properties)))
	return append(to, m.properties...)
}

// splitBatch takes the messages out of the body of a batch: of each the length
// of all of it, magic, checksum, flag, the body with its length and the
// properties with theirs.
func splitBatch(body []byte) (messages []Message, err error) {
	const head, tail = 4 + 4 + 4 + 4 + 4, 2
	for len(body) > 0 {
		if len(body) < head+tail {
			return nil, fmt.Errorf("a batch with %d bytes too many", len(body))
		}
		size, bodySize := int(binary.BigEndian.Uint32(body)), int(binary.BigEndian.Uint32(body[head-4:]))
		if size < head+bodySize+tail || size > len(body) {
			return nil, fmt.Errorf("a batch with a message of %d bytes, its body of %d", size, bodySize)
		}
		properties := string(body[head+bodySize+tail : size])
		messages = append(messages, Message{Body: body[head : head+bodySize], properties: properties})
		body = body[size:]
	}
	return messages, nil
}
