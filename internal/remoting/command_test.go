package remoting_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tcckit/tcckit/internal/remoting"
)

func TestCommandsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := remoting.Command{
			Code:   rapid.IntRange(0, 1000).Draw(t, "code"),
			Opaque: rapid.Int32().Draw(t, "opaque"),
			Flag:   rapid.IntRange(0, 3).Draw(t, "flag"),
			Remark: rapid.String().Draw(t, "remark"),
			Fields: rapid.MapOfN(rapid.String(), rapid.String(), 1, 5).Draw(t, "fields"),
			Body:   rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		var wire bytes.Buffer
		require.NoError(t, remoting.Write(&wire, c))
		require.NoError(t, remoting.Write(&wire, c))
		for range 2 {
			got, err := remoting.Read(&wire)
			require.NoError(t, err)
			require.Equal(t, c, got)
		}
		_, err := remoting.Read(&wire)
		require.ErrorIs(t, err, io.EOF)
	})
}

func TestWhatIsNoCommandIsRefused(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]string{
		"another codec":      "\x00\x00\x00\x08\x01\x00\x00\x04abcd",
		"header too long":    "\x00\x00\x00\x08\x00\x00\x00\x08abcd",
		"gigabytes":          "\x7f\x00\x00\x08\x00\x00\x00\x04abcd",
		"header is no JSON":  "\x00\x00\x00\x08\x00\x00\x00\x04abcd",
		"cut in the lengths": "\x00\x00\x00",
		"cut in the header":  "\x00\x00\x00\x08\x00\x00\x00\x04ab",
	} {
		_, err := remoting.Read(bytes.NewBufferString(wire))
		require.Error(t, err, name)
		require.NotErrorIs(t, err, io.EOF, name)
	}
	require.ErrorContains(t, remoting.Write(io.Discard, remoting.Command{Body: make([]byte, 40<<20)}), "a command of")
}

func TestCall(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c, err := remoting.Read(conn)
			if err == nil && c.Code < 100 {
				answer := c.Response(c.Code, c.Fields, c.Body)
				answer.Remark = "as asked"
				_ = remoting.Write(conn, answer)
			} // or silence
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := remoting.Call(ctx, l.Addr().String(), remoting.Command{Fields: map[string]string{"a": "b"}, Body: []byte("x")})
	require.NoError(t, err)
	require.Equal(t, []byte("x"), answer.Body)
	require.Equal(t, "b", answer.Fields["a"])

	_, err = remoting.Call(ctx, l.Addr().String(), remoting.Command{Code: 17})
	var refused *remoting.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, remoting.Error{Code: 17, Remark: "as asked"}, *refused)

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = remoting.Call(short, l.Addr().String(), remoting.Command{Code: 100})
	require.Error(t, err)
}
