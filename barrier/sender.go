package barrier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/tcc"
)

// sendTimeout bounds one call of a participant: longer than it waits for a row
// lock, with time for a few deadlocks.
const sendTimeout = 10 * time.Second

// Sender delivers a Confirm or Cancel to the participant whose branch it is.
type Sender interface {
	// Send calls b.Method as a delivery of b, with a request in protobuf's
	// wire format. nil means that the participant answered OK.
	Send(ctx context.Context, b tcc.Branch, request []byte) error
}

// GRPCSender is a [Sender] that calls the participant as a coordinator does, so
// that its own handler and barrier do the work. It is safe for concurrent use.
type GRPCSender struct {
	// Conn leads to the participant's internal listener. Its owner closes it.
	Conn grpc.ClientConnInterface
	// Keys signs the call. Nil leaves it unsigned, which participants with a
	// keyring refuse.
	Keys *tcc.Keyring
}

// Send implements Sender. It takes at most 10 seconds.
func (s *GRPCSender) Send(ctx context.Context, b tcc.Branch, request []byte) error {
	if err := b.Validate(); err != nil {
		return fmt.Errorf("barrier: %w", err)
	}
	signature := ""
	if s.Keys != nil {
		// When the transaction began is not known; it counts for a Try only.
		signature = s.Keys.Sign(b.GID, time.Now())
	}
	ctx, cancel := context.WithTimeout(tcc.Outgoing(ctx, b, signature), sendTimeout)
	defer cancel()
	var response []byte
	return s.Conn.Invoke(ctx, b.Method, &request, &response, grpc.ForceCodec(wire{}))
}

// wire passes messages on as they are: who sends does not know their types.
type wire struct{}

// Name makes the content type that of protobuf.
func (wire) Name() string { return "proto" }

// Marshal returns the message's own bytes.
func (wire) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, errors.New("barrier: not a message in wire format")
	}
	return *b, nil
}

// Unmarshal keeps a copy: the buffer is used again.
func (wire) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return errors.New("barrier: not a message in wire format")
	}
	*b = append([]byte(nil), data...)
	return nil
}
