// Package remoting reads and writes the commands of RocketMQ's remoting protocol, as its client for Go
// sends them: with a header in JSON. It is for tests and for what starts servers for tests.
package remoting

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// maxFrame is beyond what a broker takes: 4 MiB and the properties.
const maxFrame = 32 << 20

// The bits of [Command.Flag].
const (
	// FlagResponse marks a response.
	FlagResponse = 1 << iota
	// FlagOneway marks a request that wants no response.
	FlagOneway
)

// Command is a request or a response.
type Command struct {
	// Code is what a request asks for, or the outcome in a response: 0 is success.
	Code int
	// Opaque joins a response to its request.
	Opaque int32
	Flag   int
	// Remark is the text of an error.
	Remark string
	// Fields are the header's fields, by the names that the protocol gives them.
	Fields map[string]string
	Body   []byte
}

// IsResponse tells a response from a request.
func (c Command) IsResponse() bool { return c.Flag&FlagResponse != 0 }

// IsOneway tells a request that wants no response.
func (c Command) IsOneway() bool { return c.Flag&FlagOneway != 0 }

// Response returns a response to a request.
func (c Command) Response(code int, fields map[string]string, body []byte) Command {
	return Command{Code: code, Opaque: c.Opaque, Flag: FlagResponse, Fields: maps.Clone(fields), Body: body}
}

// header is what goes over the wire as JSON.
type header struct {
	Code      int               `json:"code"`
	Language  string            `json:"language"`
	Version   int               `json:"version"`
	Opaque    int32             `json:"opaque"`
	Flag      int               `json:"flag"`
	Remark    string            `json:"remark,omitempty"`
	ExtFields map[string]string `json:"extFields,omitempty"`
}

// version is what the client for Go says it is.
const version = 317

// A frame is: its length without these four bytes; one byte for the codec, 0 for JSON, and three for the
// header's length; the header; the body.

// Write writes a command as one frame.
func Write(w io.Writer, c Command) error {
	h, err := json.Marshal(header{Code: c.Code, Language: "GO", Version: version, Opaque: c.Opaque, Flag: c.Flag, Remark: c.Remark, ExtFields: c.Fields})
	if err != nil {
		return fmt.Errorf("remoting: %w", err)
	}
	size := 4 + len(h) + len(c.Body)
	if size > maxFrame {
		return fmt.Errorf("remoting: a command of %d bytes", size)
	}
	frame := make([]byte, 0, 4+size)
	frame = binary.BigEndian.AppendUint32(frame, uint32(size))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(h)))
	frame = append(frame, h...)
	frame = append(frame, c.Body...)
	_, err = w.Write(frame)
	return err
}

// Read reads the next command. At the stream's end between two commands it returns io.EOF.
func Read(r io.Reader) (Command, error) {
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return Command{}, err
	}
	size, head := binary.BigEndian.Uint32(lengths[:4]), binary.BigEndian.Uint32(lengths[4:])
	if codec := head >> 24; codec != 0 {
		return Command{}, fmt.Errorf("remoting: a header in codec %d, which is not JSON", codec)
	}
	if size < 4+head || size > maxFrame {
		return Command{}, fmt.Errorf("remoting: a frame of %d bytes with a header of %d", size, head)
	}
	frame := make([]byte, size-4)
	if _, err := io.ReadFull(r, frame); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Command{}, err
	}
	var h header
	if err := json.Unmarshal(frame[:head], &h); err != nil {
		return Command{}, fmt.Errorf("remoting: header: %w", err)
	}
	return Command{Code: h.Code, Opaque: h.Opaque, Flag: h.Flag, Remark: h.Remark, Fields: h.ExtFields, Body: frame[head:]}, nil
}
