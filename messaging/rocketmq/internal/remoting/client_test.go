package remoting_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

// serve answers each connection with what a server says once it has been asked.
func serve(t *testing.T, answer []byte) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var size uint32
			if binary.Read(conn, binary.BigEndian, &size) == nil {
				_, _ = io.CopyN(io.Discard, conn, int64(size))
				_, _ = conn.Write(answer)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-ended
	})
	return l.Addr().String()
}

// frame is an answer with a header and a body.
func frame(header, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(header)))
	return append(append(b, header...), body...)
}

const success = `{"code":0,"flag":1,"opaque":1}`

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer []byte
		says   string
	}{
		"nothing":            {nil, "EOF"},
		"another protocol":   {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "the answer is none of RocketMQ's"},
		"a part of one":      {frame(success, "{}")[:20], "unexpected EOF"},
		"no header":          {frame("no JSON", ""), "the answer's header"},
		"a header too long":  {[]byte{0, 0, 0, 8, 0, 0, 0, 99, 1, 2, 3, 4}, "the answer is none of RocketMQ's"},
		"a frame too long":   {[]byte{0x7f, 0, 0, 0, 0, 0, 0, 1}, "the answer is none of RocketMQ's"},
		"no body":            {frame(success, ""), "the list of brokers"},
		"a body that is odd": {frame(success, "[1"), "the list of brokers"},
		"a refusal":          {frame(`{"code":16,"flag":1,"opaque":1,"remark":"no"}`, ""), "answered with code 16: no"},
		"another's answer":   {frame(`{"code":0,"flag":1,"opaque":7}`, "{}"), "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := remoting.Client{}.Brokers(t.Context(), serve(t, tt.answer))
			require.ErrorContains(t, err, tt.says)
		})
	}
}

// TestKeysWithoutQuotes is how a name server lists brokers.
func TestKeysWithoutQuotes(t *testing.T) {
	t.Parallel()
	addr := serve(t, frame(success, `{"brokerAddrTable":{"a":{"brokerAddrs":{0:"10.0.0.1:10911",1:"10.0.0.2:10911"},"brokerName":"a"},`+
		`"b":{"brokerAddrs":{1:"10.0.0.3:10911"},"brokerName":"b"}}}`))
	brokers, err := remoting.Client{}.Brokers(t.Context(), addr)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "10.0.0.1:10911"}, brokers, "those that take messages")
}

func TestRouteIsOfBrokersThatTakeMessages(t *testing.T) {
	t.Parallel()
	addr := serve(t, frame(success, `{"queueDatas":[{"brokerName":"b","readQueueNums":1},{"brokerName":"a","readQueueNums":2},{"brokerName":"gone","readQueueNums":4}],`+
		`"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"10.0.0.1:1"}},{"brokerName":"b","brokerAddrs":{"0":"10.0.0.2:1"}},{"brokerName":"gone","brokerAddrs":{"1":"10.0.0.3:1"}}]}`))
	r, err := remoting.Client{}.Route(t.Context(), addr, "t")
	require.NoError(t, err)
	require.Equal(t, []remoting.Queue{
		{Broker: "a", Addr: "10.0.0.1:1", ID: 0}, {Broker: "a", Addr: "10.0.0.1:1", ID: 1}, {Broker: "b", Addr: "10.0.0.2:1", ID: 0},
	}, r.Queues)
}

func TestContextEndsTheWait(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = remoting.Client{}.Brokers(ctx, l.Addr().String())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, l.Addr().String()+" does not answer")
}
