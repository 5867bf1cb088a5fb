package e2e_test

import (
	"bytes"
	"context"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// relay stands between gRPC clients and a server and stops single calls: the bytes of HTTP/2 that a plain
// proxy sees do not tell one method from another. It is for unary calls.
type relay struct {
	addr string
	next *grpc.ClientConn

	// accountOf finds the account whose order a call is for, "" if there is none.
	accountOf func(c passing) string

	mu      sync.Mutex
	points  []*point
	clients map[string]net.Conn // by the client's address
}

func newRelay(t testing.TB, target string) *relay {
	t.Helper()
	next, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithConnectParams(quickly()))
	require.NoError(t, err)
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{addr: l.Addr().String(), next: next, clients: make(map[string]net.Conn)}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(r.handle))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(&clientListener{Listener: l, relay: r}) })
	t.Cleanup(func() {
		r.giveUp()
		server.Stop()
		serving.Wait()
		require.NoError(t, next.Close())
	})
	return r
}

// quickly has a client find a server again as soon as it was restarted.
func quickly() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: time.Millisecond, Multiplier: 2, MaxDelay: 20 * time.Millisecond},
		MinConnectTimeout: 5 * time.Second,
	}
}

// moment is when a call is stopped, or its server killed.
type moment int

const (
	// before the server has got it.
	before moment = iota + 1
	// after the server has answered.
	after
	// during the server's work, which waits for a row that the test has locked. The call is stopped before
	// that, for the test to lock the row, and then released.
	during
)

func (m moment) String() string {
	return [...]string{before: "before", after: "after", during: "during"}[m]
}

// stop is where a relay stops the call.
func (m moment) stop() moment {
	if m == during {
		return before
	}
	return m
}

// hold stops the first call of a method from now on, at the moment given, until the point's release or cut.
// A method is named without its service; "RegisterBranch/ConfirmDebit" is a RegisterBranch whose message
// contains ConfirmDebit.
func (r *relay) hold(when moment, method string) *point { return r.holdFor("", when, method) }

// holdFor is hold for calls that are for an order of an account.
func (r *relay) holdFor(account string, when moment, method string) *point {
	name, text, _ := strings.Cut(method, "/")
	p := &point{
		what: when.String() + " " + method, account: account, when: when, method: name, text: []byte(text),
		reached: make(chan struct{}), answered: make(chan error, 1), verdict: make(chan struct{}),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.points = append(r.points, p)
	return p
}

// giveUp decides all points that tests have left.
func (r *relay) giveUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.points {
		p.cut()
	}
}

// handle forwards one call. What was sent arrives even if its sender has died meanwhile: it was on its way.
func (r *relay) handle(_ any, stream grpc.ServerStream) error {
	ctx := stream.Context()
	full, _ := grpc.MethodFromServerStream(stream)
	md, _ := metadata.FromIncomingContext(ctx)
	var request, reply []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	patience := bound
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	call := passing{method: path.Base(full), gid: strings.Join(md.Get("dtm-gid"), ","), request: request}
	stopped := r.stop(before, call)
	if !stopped.goesOn() {
		return r.cut(ctx)
	}
	forward, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.WithoutCancel(ctx), md), patience)
	defer cancel()
	err := r.next.Invoke(forward, full, request, &reply, grpc.ForceCodecV2(rawCodec{}))
	if stopped != nil {
		stopped.answered <- err
	}
	if !r.stop(after, call).goesOn() {
		return r.cut(ctx)
	}
	if err != nil {
		return err
	}
	return stream.SendMsg(reply)
}

// passing is a call on its way.
type passing struct {
	method, gid string
	request     []byte
}

// stop stops a call if there is a point for it, until that is decided, and returns the point.
func (r *relay) stop(when moment, c passing) *point {
	p := r.take(when, c)
	if p != nil {
		p.gid = c.gid
		close(p.reached)
		<-p.verdict
	}
	return p
}

// take returns the point for a call, nil if there is none, and no other call gets it.
func (r *relay) take(when moment, c passing) *point {
	matches := func(p *point) bool {
		return !p.taken && p.when.stop() == when && p.method == c.method && bytes.Contains(c.request, p.text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	account, known := "", false
	for _, p := range slices.Clone(r.points) {
		if p.account != "" && !known && matches(p) {
			r.mu.Unlock()
			account, known = r.accountOf(c), true
			r.mu.Lock()
		}
		if matches(p) && (p.account == "" || p.account == account) {
			p.taken = true
			return p
		}
	}
	return nil
}

// cut breaks the connection on which a call came, with all other calls on it.
func (r *relay) cut(ctx context.Context) error {
	if p, ok := peer.FromContext(ctx); ok {
		r.mu.Lock()
		conn := r.clients[p.Addr.String()]
		r.mu.Unlock()
		if conn != nil {
			_ = conn.Close()
		}
	}
	return status.Error(codes.Unavailable, "the test has cut the connection")
}

// cutAll breaks all connections.
func (r *relay) cutAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.clients {
		_ = conn.Close()
	}
}

// point is a call that is stopped.
type point struct {
	what     string
	account  string // "" means any
	when     moment
	method   string
	text     []byte
	taken    bool // under the relay's lock
	reached  chan struct{}
	gid      string     // of the call, once reached
	answered chan error // gets the server's answer to a call that was stopped before

	once    sync.Once
	verdict chan struct{}
	forward bool
}

// goesOn says what was decided.
func (p *point) goesOn() bool { return p == nil || p.forward }

// wait returns when the call is there, or fails the test.
func (p *point) wait(t testing.TB) {
	t.Helper()
	select {
	case <-p.reached:
	case <-time.After(bound):
		t.Fatalf("%s: there was no such call within %s", p.what, bound)
	}
}

// answer waits for the server's answer to a call that was stopped before, whether its caller got it or not.
func (p *point) answer(t testing.TB) error {
	t.Helper()
	select {
	case err := <-p.answered:
		return err
	case <-time.After(bound):
		t.Fatalf("%s: no answer within %s", p.what, bound)
		return nil
	}
}

// release lets the call, or its answer, go on.
func (p *point) release() { p.decide(true) }

// cut breaks the caller's connection; the call, or its answer, is lost.
func (p *point) cut() { p.decide(false) }

func (p *point) decide(forward bool) {
	p.once.Do(func() {
		p.forward = forward
		close(p.verdict)
	})
}

// clientListener tells the relay its clients' connections.
type clientListener struct {
	net.Listener
	relay *relay
}

func (l *clientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	l.relay.clients[conn.RemoteAddr().String()] = conn
	return &clientConn{Conn: conn, relay: l.relay}, nil
}

type clientConn struct {
	net.Conn
	relay *relay
}

func (c *clientConn) Close() error {
	c.relay.mu.Lock()
	delete(c.relay.clients, c.RemoteAddr().String())
	c.relay.mu.Unlock()
	return c.Conn.Close()
}
