package coordinator_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// flaky stands between an initiator and its coordinator. It records what
// passes and does to each method what a test says.
type flaky struct {
	dtmgpb.UnimplementedDtmServer

	addr string
	next dtmgpb.DtmClient

	mu       sync.Mutex
	fault    map[string]fault
	requests []passed
}

// fault decides about one call: it may call forward, once, and its error is
// the answer.
type fault func(ctx context.Context, forward func() error) error

// passed is one request that arrived.
type passed struct {
	method  string
	message proto.Message
}

// errLost is what a client sees of a connection that broke.
var errLost = status.Error(codes.Unavailable, "the test lost it")

// loseRequest answers without asking the coordinator.
func loseRequest(context.Context, func() error) error { return errLost }

// loseReply drops the coordinator's answer.
func loseReply(_ context.Context, forward func() error) error {
	_ = forward()
	return errLost
}

// first applies a fault to the first call only.
func first(f fault) fault {
	var once sync.Once
	return func(ctx context.Context, forward func() error) error {
		err, hit := error(nil), false
		once.Do(func() { err, hit = f(ctx, forward), true })
		if hit {
			return err
		}
		return forward()
	}
}

func newFlaky(t testing.TB, target string) *flaky {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &flaky{addr: listener.Addr().String(), next: dtmgpb.NewDtmClient(dial(t, target)), fault: make(map[string]fault)}
	server := grpc.NewServer()
	dtmgpb.RegisterDtmServer(server, f)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return f
}

// on sets what happens to a method; nil means that it passes.
func (f *flaky) on(method string, what fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault[method] = what
}

// methods lists what arrived, in order.
func (f *flaky) methods() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []string{}
	for _, r := range f.requests {
		out = append(out, r.method)
	}
	return out
}

// count says how often a method arrived.
func (f *flaky) count(method string) int {
	n := 0
	for _, m := range f.methods() {
		if m == method {
			n++
		}
	}
	return n
}

// message returns the message of the only call of a method.
func (f *flaky) message(t testing.TB, method string) proto.Message {
	t.Helper()
	require.Equal(t, 1, f.count(method), method)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.method == method {
			return r.message
		}
	}
	return nil
}

func (f *flaky) pass(ctx context.Context, method string, message proto.Message, forward func(context.Context) error) (*emptypb.Empty, error) {
	f.mu.Lock()
	f.requests = append(f.requests, passed{method, message})
	what := f.fault[method]
	f.mu.Unlock()
	// What was passed on takes effect even if the client has gone.
	next := func() error { return forward(context.WithoutCancel(ctx)) }
	if what == nil {
		return &emptypb.Empty{}, next()
	}
	return &emptypb.Empty{}, what(ctx, next)
}

func (f *flaky) Prepare(ctx context.Context, in *dtmgpb.DtmRequest) (*emptypb.Empty, error) {
	return f.pass(ctx, "Prepare", in, func(ctx context.Context) error { _, err := f.next.Prepare(ctx, in); return err })
}

func (f *flaky) RegisterBranch(ctx context.Context, in *dtmgpb.DtmBranchRequest) (*emptypb.Empty, error) {
	return f.pass(ctx, "RegisterBranch", in, func(ctx context.Context) error { _, err := f.next.RegisterBranch(ctx, in); return err })
}

func (f *flaky) Submit(ctx context.Context, in *dtmgpb.DtmRequest) (*emptypb.Empty, error) {
	return f.pass(ctx, "Submit", in, func(ctx context.Context) error { _, err := f.next.Submit(ctx, in); return err })
}

func (f *flaky) Abort(ctx context.Context, in *dtmgpb.DtmRequest) (*emptypb.Empty, error) {
	return f.pass(ctx, "Abort", in, func(ctx context.Context) error { _, err := f.next.Abort(ctx, in); return err })
}
