package remoting

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// The codes of requests.
const (
	codeQueryOffset = 14
	codeCreateTopic = 17
	codeMaxOffset   = 30
	codeHeartbeat   = 34
	codeRoute       = 105
	codeClusterInfo = 106

	codeEndTransaction = 37
	codeCheckHalf      = 39 // a broker's
)

// The codes of answers.
const (
	codeSuccess       = 0
	codeTopicUnknown  = 17
	codeQueryNotFound = 22
)

// maxFrame bounds what is read: a route or a list of brokers has a few KB.
const maxFrame = 16 << 20

// command is a request or an answer. On the wire it is the length of what
// follows (4 bytes), a byte for the header's encoding (0: JSON) and its length
// (3 bytes), the header, and the body.
type command struct {
	Code     int               `json:"code"`
	Language string            `json:"language"`
	Version  int               `json:"version"`
	Opaque   int32             `json:"opaque"`
	Flag     int               `json:"flag"`
	Remark   string            `json:"remark"`
	Fields   map[string]string `json:"extFields"`

	body []byte
}

// version is that of RocketMQ 5.3.3 in the protocol, by which a server knows
// what the asker understands.
const version = 479

func (c *command) write(w io.Writer) error {
	header, err := json.Marshal(c)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.Grow(8 + len(header) + len(c.body))
	_ = binary.Write(&b, binary.BigEndian, [2]uint32{uint32(4 + len(header) + len(c.body)), uint32(len(header))}) // 24 bits and a zero
	b.Write(header)
	b.Write(c.body)
	_, err = w.Write(b.Bytes())
	return err
}

func read(r io.Reader) (*command, error) {
	var sizes [2]uint32
	if err := binary.Read(r, binary.BigEndian, &sizes); err != nil {
		return nil, err
	}
	frame, header := sizes[0], sizes[1]&0xffffff
	if encoding := sizes[1] >> 24; encoding != 0 || frame > maxFrame || header+4 > frame {
		return nil, fmt.Errorf("the answer is none of RocketMQ's: %d bytes, header %d, encoding %d", frame, header, encoding)
	}
	b := make([]byte, frame-4)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	c := &command{}
	if err := json.Unmarshal(b[:header], c); err != nil {
		return nil, fmt.Errorf("the answer's header: %w", err)
	}
	c.body = b[header:]
	return c, nil
}
