package coordinator_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

const (
	tryMethod     = "/tcckit.test.Participant/TryWork"
	confirmMethod = "/tcckit.test.Participant/ConfirmWork"
	cancelMethod  = "/tcckit.test.Participant/CancelWork"
)

// delivery is one call of a branch that a participant got.
type delivery struct {
	tcc.Branch
	request  string
	metadata metadata.MD
}

// participant is a gRPC server with a Try, a Confirm and a Cancel behind tcc's
// interceptor. It answers Try with "tried <request>" unless told otherwise.
type participant struct {
	addr string
	conn *grpc.ClientConn

	mu         sync.Mutex
	deliveries []delivery
	behaviour  map[tcc.Phase]func(context.Context, delivery) error
}

func newParticipant(t testing.TB, opts ...func(*tcc.ServerConfig)) *participant {
	t.Helper()
	cfg := tcc.ServerConfig{Logger: slog.New(slog.DiscardHandler)}
	for _, o := range opts {
		o(&cfg)
	}
	intercept, err := tcc.UnaryServerInterceptor(cfg)
	require.NoError(t, err)
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &participant{addr: listener.Addr().String(), behaviour: make(map[tcc.Phase]func(context.Context, delivery) error)}
	server := grpc.NewServer(grpc.UnaryInterceptor(intercept))
	server.RegisterService(p.service(), nil)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	p.conn = dial(t, p.addr)
	return p
}

func (p *participant) service() *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: "tcckit.test.Participant"}
	for _, name := range []string{"TryWork", "ConfirmWork", "CancelWork"} {
		full := "/" + desc.ServiceName + "/" + name
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: name,
			Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
				request := new(wrapperspb.StringValue)
				if err := decode(request); err != nil {
					return nil, err
				}
				return intercept(ctx, request, &grpc.UnaryServerInfo{FullMethod: full}, p.handle)
			},
		})
	}
	return desc
}

func (p *participant) handle(ctx context.Context, req any) (any, error) {
	b, ok := tcc.FromContext(ctx)
	if !ok {
		return nil, tcc.ErrNoBranch
	}
	md, _ := metadata.FromIncomingContext(ctx)
	d := delivery{Branch: b, request: req.(*wrapperspb.StringValue).GetValue(), metadata: md}
	p.mu.Lock()
	p.deliveries = append(p.deliveries, d)
	behave := p.behaviour[b.Phase]
	p.mu.Unlock()
	if behave != nil {
		if err := behave(ctx, d); err != nil {
			return nil, err
		}
	}
	return wrapperspb.String("tried " + d.request), nil
}

// on sets what a phase does and answers.
func (p *participant) on(phase tcc.Phase, behave func(context.Context, delivery) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour[phase] = behave
}

// answer makes a phase give the answers, one a delivery, and then succeed.
func (p *participant) answer(phase tcc.Phase, answers ...error) {
	var mu sync.Mutex
	p.on(phase, func(context.Context, delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if len(answers) == 0 {
			return nil
		}
		err := answers[0]
		answers = answers[1:]
		return err
	})
}

// hold makes a phase wait until the returned function is called, which may be
// called more than once, and is at the end of the test.
func (p *participant) hold(t testing.TB, phase tcc.Phase) (release func()) {
	t.Helper()
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	p.on(phase, func(ctx context.Context, _ delivery) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return tcc.Retry(ctx.Err())
		}
	})
	return release
}

// got returns the deliveries of a transaction in order of arrival.
func (p *participant) got(gid string, phases ...tcc.Phase) []delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []delivery
	for _, d := range p.deliveries {
		if d.GID == gid && (len(phases) == 0 || slices.Contains(phases, d.Phase)) {
			out = append(out, d)
		}
	}
	return out
}

// calls is got as "branch phase", for comparing.
func (p *participant) calls(gid string, phases ...tcc.Phase) []string {
	out := []string{}
	for _, d := range p.got(gid, phases...) {
		out = append(out, fmt.Sprintf("%s %s", d.ID, d.Phase))
	}
	return out
}

// order is calls with the repetitions left out: DTM may deliver twice.
func (p *participant) order(gid string, phases ...tcc.Phase) []string {
	out := []string{}
	for _, c := range p.calls(gid, phases...) {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// branch returns a branch at the participant.
func (p *participant) branch(request string) coordinator.Branch {
	return coordinator.Branch{
		Conn: p.conn, Target: p.addr,
		Try: tryMethod, Confirm: confirmMethod, Cancel: cancelMethod,
		Request: wrapperspb.String(request),
	}
}
