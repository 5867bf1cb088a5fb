package coordinator

import (
	"errors"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// once guards a call that must not reach the coordinator twice. Two things
// repeat a call behind its caller's back:
//
//   - gRPC itself, by the retry policy of a service config or transparently.
//     It replays the message from a buffer, which options denies it: with no
//     room for the message the call is committed to its first attempt as soon
//     as the message is written.
//   - An interceptor that invokes the call again. That encodes the message
//     again, which the codec refuses, before anything leaves the process.
//
// An attempt that fails before the message is encoded, for want of a
// connection, may be repeated by both; nothing has been sent then.
type once struct {
	encoding.CodecV2
	encoded atomic.Bool
}

var errSentBefore = errors.New("the message was sent before and must not be sent twice")

func newOnce() *once {
	return &once{CodecV2: encoding.GetCodecV2(proto.Name)}
}

func (o *once) options() []grpc.CallOption {
	return []grpc.CallOption{grpc.ForceCodecV2(o), grpc.MaxRetryRPCBufferSize(0)}
}

// Marshal encodes the message of the call, the first time only.
func (o *once) Marshal(v any) (mem.BufferSlice, error) {
	if o.encoded.Swap(true) {
		return nil, errSentBefore
	}
	return o.CodecV2.Marshal(v)
}

// sent reports whether the message may have left the process. It says so
// truly only of a connection that is known to honour call options.
func (o *once) sent() bool { return o.encoded.Load() }
