package dtmserver_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// participant is a gRPC server on loopback that answers every method and records what was called.
type participant struct {
	addr string

	mu    sync.Mutex
	calls []string // "gid branch method", as they arrive
	fail  int      // so many calls are answered Unavailable
	hold  chan struct{}
}

func newParticipant(t *testing.T) *participant {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &participant{addr: listener.Addr().String()}
	server := grpc.NewServer(grpc.UnknownServiceHandler(p.handle))
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		p.release()
		server.Stop()
		wg.Wait()
	})
	return p
}

func (p *participant) handle(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	path, _ := grpc.MethodFromServerStream(stream)
	md, _ := metadata.FromIncomingContext(stream.Context())
	first := func(key string) string { return strings.Join(md.Get(key), ",") }
	p.mu.Lock()
	p.calls = append(p.calls, first("dtm-gid")+" "+first("dtm-branch_id")+" "+path[strings.LastIndexByte(path, '/')+1:])
	failing := p.fail > 0
	if failing {
		p.fail--
	}
	hold := p.hold
	p.mu.Unlock()
	if failing {
		return status.Error(codes.Unavailable, "as the test wants")
	}
	if hold != nil {
		select {
		case <-hold:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return stream.SendMsg(&emptypb.Empty{})
}

// url is the target that DTM dials for a method.
func (p *participant) url(method string) string { return p.addr + "/test.Participant/" + method }

// holdCalls makes calls hang until release.
func (p *participant) holdCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = make(chan struct{})
}

func (p *participant) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold != nil {
		close(p.hold)
		p.hold = nil
	}
}

// failNext makes the next n calls fail with Unavailable.
func (p *participant) failNext(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = n
}

// received returns the calls of a global transaction, as "branch method".
func (p *participant) received(gid string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var calls []string
	for _, call := range p.calls {
		if rest, found := strings.CutPrefix(call, gid+" "); found {
			calls = append(calls, rest)
		}
	}
	return calls
}

func (p *participant) awaitCalls(t *testing.T, gid string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(p.received(gid)) >= n }, bound, 10*time.Millisecond,
		"%d calls never arrived", n)
}
