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
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/internal/certs"
)

// participant is a gRPC server on loopback that answers every method and records what was called.
type participant struct {
	addr  string
	creds credentials.TransportCredentials
	stop  func() // it can serve again

	mu       sync.Mutex
	calls    []string // "gid branch method", as they arrive
	callers  []string // identities of the callers of those
	fail     int      // so many calls are answered Unavailable
	hold     chan struct{}
	held     error          // what held calls are answered in the end
	now      map[string]int // calls under way, by gid
	collided []string       // gids with two calls at once
}

// newParticipant returns one that serves without TLS.
func newParticipant(t *testing.T) *participant {
	t.Helper()
	return newParticipantWith(t, insecure.NewCredentials())
}

func newParticipantWith(t *testing.T, creds credentials.TransportCredentials) *participant {
	t.Helper()
	p := &participant{addr: "127.0.0.1:0", creds: creds, now: make(map[string]int)}
	p.serve(t)
	return p
}

// serve starts it, at the address that it had before.
func (p *participant) serve(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", p.addr)
	require.NoError(t, err)
	p.addr = listener.Addr().String()
	server := grpc.NewServer(grpc.Creds(p.creds), grpc.UnknownServiceHandler(p.handle))
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	p.stop = func() {
		p.release()
		server.Stop()
		wg.Wait()
	}
	t.Cleanup(p.stop)
}

func (p *participant) handle(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	path, _ := grpc.MethodFromServerStream(stream)
	md, _ := metadata.FromIncomingContext(stream.Context())
	first := func(key string) string { return strings.Join(md.Get(key), ",") }
	gid := first("dtm-gid")
	p.mu.Lock()
	if p.now[gid]++; p.now[gid] > 1 {
		p.collided = append(p.collided, gid)
	}
	p.callers = append(p.callers, strings.Join(certs.Identities(stream.Context()), ","))
	p.calls = append(p.calls, gid+" "+first("dtm-branch_id")+" "+path[strings.LastIndexByte(path, '/')+1:])
	failing := p.fail > 0
	if failing {
		p.fail--
	}
	hold := p.hold
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.now[gid]--; p.now[gid] == 0 {
			delete(p.now, gid)
		}
	}()
	if failing {
		return errWanted()
	}
	if hold != nil {
		select {
		case <-hold:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		p.mu.Lock()
		err := p.held
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return stream.SendMsg(&emptypb.Empty{})
}

func errWanted() error { return status.Error(codes.Unavailable, "as the test wants") }

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

// failHeld is release, but the calls that hang fail.
func (p *participant) failHeld() {
	p.mu.Lock()
	p.held = errWanted()
	p.mu.Unlock()
	p.release()
}

// running is how many calls are under way.
func (p *participant) running() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, calls := range p.now {
		n += calls
	}
	return n
}

// collisions are the global transactions of which two calls were under way at the same time.
func (p *participant) collisions() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.collided
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
