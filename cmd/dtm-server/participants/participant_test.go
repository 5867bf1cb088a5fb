package participants

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long a test waits for what takes milliseconds.
const bound = 30 * time.Second

const method = "/test.Participant/Confirm"

// participant is a gRPC server that answers every method.
type participant struct {
	addr   string
	server *grpc.Server

	mu     sync.Mutex
	calls  []metadata.MD
	got    []string // requests
	answer error
	hold   chan struct{} // calls wait for it to be closed
}

// listen takes a port on each address, the same one.
func listen(t *testing.T, addrs ...string) []net.Listener {
	t.Helper()
	var lc net.ListenConfig
	for range 100 {
		var listeners []net.Listener
		port := 0
		for _, addr := range addrs {
			l, err := lc.Listen(t.Context(), "tcp", fmt.Sprintf("%s:%d", addr, port))
			if err != nil {
				break
			}
			tcp, ok := l.Addr().(*net.TCPAddr)
			require.True(t, ok)
			port = tcp.Port
			listeners = append(listeners, l)
		}
		if len(listeners) == len(addrs) {
			return listeners
		}
		for _, l := range listeners {
			require.NoError(t, l.Close())
		}
	}
	require.Fail(t, "no port is free on all addresses")
	return nil
}

// serve starts a participant; without credentials it speaks plaintext.
func serve(t *testing.T, listener net.Listener, creds credentials.TransportCredentials) *participant {
	t.Helper()
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	p := &participant{addr: listener.Addr().String()}
	p.server = grpc.NewServer(grpc.Creds(creds), grpc.UnknownServiceHandler(p.handle))
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.server.Serve(listener) })
	t.Cleanup(func() { p.server.Stop(); wg.Wait() })
	return p
}

func newParticipant(t *testing.T) *participant {
	t.Helper()
	return serve(t, listen(t, "127.0.0.1")[0], nil)
}

func (p *participant) handle(_ any, stream grpc.ServerStream) error {
	request := &wrapperspb.StringValue{}
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(stream.Context())
	p.mu.Lock()
	p.calls, p.got = append(p.calls, md), append(p.got, request.GetValue())
	answer, hold := p.answer, p.hold
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	if answer != nil {
		return answer
	}
	return stream.SendMsg(wrapperspb.String("done"))
}

func (p *participant) answers(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = err
}

// hang makes calls wait until the returned function is called.
func (p *participant) hang() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hold := make(chan struct{})
	p.hold = hold
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hold = nil
		close(hold)
	}
}

func (p *participant) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// newCaller returns a Caller that the end of the test closes.
func newCaller(t *testing.T, change func(*Config)) *Caller {
	t.Helper()
	cfg := Config{limits: defaultLimits()}
	if change != nil {
		change(&cfg)
	}
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

// confirm calls a participant for a branch of a global transaction.
func confirm(t *testing.T, c *Caller, server, gid string, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "dtm-gid", gid, "dtm-branch_id", "01", "dtm-op", "confirm",
		"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	return c.Call(ctx, server, method, []byte("\n\x03abc"))
}

func TestACallPassesRequestAndHeaders(t *testing.T) {
	t.Parallel()
	p, c := newParticipant(t), newCaller(t, nil)
	require.NoError(t, confirm(t, c, p.addr, "g1", bound))
	require.Equal(t, []string{"abc"}, p.got)
	md := p.calls[0]
	require.Equal(t, []string{"g1"}, md.Get("dtm-gid"))
	require.Equal(t, []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, md.Get("traceparent"))
	require.Equal(t, []string{"application/grpc"}, []string{md.Get("content-type")[0][:len("application/grpc")]})
}

// What DTM reads from an answer arrives unchanged; what is only logged gets the participant's name.
func TestAnswers(t *testing.T) {
	t.Parallel()
	p := newParticipant(t)
	var reported []string
	c := newCaller(t, func(cfg *Config) { cfg.Report = func(err error) { reported = append(reported, err.Error()) } })
	for _, code := range []codes.Code{codes.Aborted, codes.FailedPrecondition} {
		p.answers(status.Error(code, "because"))
		err := confirm(t, c, p.addr, "g", bound)
		require.Equal(t, status.Error(code, "because").Error(), err.Error())
	}
	require.Empty(t, reported)
	p.answers(status.Error(codes.Internal, "broken"))
	err := confirm(t, c, p.addr, "g1", bound)
	require.Equal(t, codes.Internal, status.Code(err))
	want := "participant " + p.addr + method + ": rpc error: code = Internal desc = broken"
	require.Equal(t, want, err.Error())
	require.Equal(t, []string{"confirm of branch 01 of g1: " + want}, reported)
}

func TestABranchIsNotCalledTwiceAtOnce(t *testing.T) {
	t.Parallel()
	p, c := newParticipant(t), newCaller(t, nil)
	release := p.hang()
	first := make(chan error, 1)
	go func() { first <- confirm(t, c, p.addr, "g1", bound) }()
	require.Eventually(t, func() bool { return p.count() == 1 }, bound, time.Millisecond)
	require.Equal(t, codes.FailedPrecondition, status.Code(confirm(t, c, p.addr, "g1", bound)))
	release()
	require.NoError(t, <-first)
	require.NoError(t, confirm(t, c, p.addr, "g1", bound))
	require.Equal(t, 2, p.count())
}

func TestCallsAfterCloseFail(t *testing.T) {
	t.Parallel()
	p, c := newParticipant(t), newCaller(t, nil)
	defer p.hang()()
	under := make(chan error, 1)
	go func() { under <- confirm(t, c, p.addr, "g1", bound) }()
	require.Eventually(t, func() bool { return p.count() == 1 }, bound, time.Millisecond)
	c.Close()
	require.Error(t, <-under)
	require.ErrorContains(t, confirm(t, c, p.addr, "g2", bound), "dtm-server is stopping")
}

// tlsServer is the credentials of a participant with a certificate.
func tlsServer(t *testing.T, files certs.Files) credentials.TransportCredentials {
	t.Helper()
	identity, err := certs.Open(files, nil)
	require.NoError(t, err)
	return credentials.NewTLS(identity.Server(true, "h2"))
}
