package coordinator_test

import (
	"context"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// retryPolicy is a service config that makes gRPC repeat every method.
const retryPolicy = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5,
	"initialBackoff": "0.005s", "maxBackoff": "0.01s", "backoffMultiplier": 1,
	"retryableStatusCodes": ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "ABORTED"]}}]}`

// retrying are connections that repeat calls behind their user's back.
func retrying() map[string][]grpc.DialOption {
	interceptor := retry.UnaryClientInterceptor(retry.WithMax(5), retry.WithBackoff(retry.BackoffLinear(5*time.Millisecond)),
		retry.WithCodes(codes.Unavailable, codes.Internal, codes.Unknown, codes.Aborted))
	stubborn := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) (err error) {
		for range 5 {
			if err = invoker(ctx, method, req, reply, cc, opts...); err == nil {
				return nil
			}
		}
		return err
	}
	hedging := func(ctx context.Context, method string, req, _ any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		answers := make(chan error, 5)
		for range cap(answers) {
			go func() { answers <- invoker(ctx, method, req, new(emptypb.Empty), cc, opts...) }()
		}
		var err error
		for range cap(answers) {
			if err = <-answers; err == nil {
				return nil
			}
		}
		return err
	}
	return map[string][]grpc.DialOption{
		"service config":        {grpc.WithDefaultServiceConfig(retryPolicy)},
		"go-grpc-middleware":    {grpc.WithUnaryInterceptor(interceptor)},
		"stubborn interceptor":  {grpc.WithUnaryInterceptor(stubborn)},
		"hedging interceptor":   {grpc.WithUnaryInterceptor(hedging)},
		"policy and two levels": {grpc.WithDefaultServiceConfig(retryPolicy), grpc.WithChainUnaryInterceptor(stubborn, interceptor)},
	}
}

// The rule above all: a Submit that is repeated loses the transaction, so no
// retry policy and no interceptor may repeat it.
func testSubmitNotRepeated(t *testing.T, d *dtm) {
	for name, opts := range retrying() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
			conn := dial(t, f.addr, opts...)
			c := newClient(t, conn, d.HTTPURL(), retryEverySecond)
			release := p.hold(t, tcc.Confirm)

			tx := begin(t, c)
			require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
			// The answer gets lost while the status is 'submitted', which
			// is when a repetition does its harm.
			f.on("Submit", loseReply)
			require.NoError(t, tx.Commit(bounded(t)), "the queried status decides")
			require.Equal(t, 1, f.count("Submit"))
			require.Zero(t, f.count("Abort"))

			// The connection does repeat what is not guarded.
			f.on("Abort", loseRequest)
			_, err := dtmgpb.NewDtmClient(conn).Abort(bounded(t), &dtmgpb.DtmRequest{Gid: tx.GID(), TransType: "tcc"})
			require.Error(t, err)
			require.Greater(t, f.count("Abort"), 1, "these options repeat nothing, so the test shows nothing")

			release()
			awaitStatus(t, d.client(t), tx.GID(), coordinator.Succeeded)
			require.Equal(t, []string{"02 confirm", "01 confirm"}, p.order(tx.GID(), tcc.Confirm, tcc.Cancel), "a Confirm was lost")
		})
	}
}

// What the rule is for, without the client: the stock server marks a
// transaction succeeded and calls no Confirm; ours does not.
func testStockLosesRepeatedSubmit(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	raw := dtmgpb.NewDtmClient(dial(t, d.GRPCAddr()))
	f := newFlaky(t, d.GRPCAddr())
	release := p.hold(t, tcc.Confirm)
	tx := begin(t, newClient(t, dial(t, f.addr), d.HTTPURL()))
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	require.NoError(t, tx.Commit(bounded(t)))
	eventually(t, func() bool { return len(p.got(tx.GID(), tcc.Confirm)) == 1 }, "no Confirm")

	again, ok := f.message(t, "Submit").(*dtmgpb.DtmRequest)
	require.True(t, ok)
	_, err := raw.Submit(bounded(t), again)
	require.NoError(t, err)
	if d.stock {
		awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
		require.Equal(t, []string{"02 confirm"}, p.calls(tx.GID(), tcc.Confirm), "stock DTM has changed: it finishes a repeated Submit only after its Confirms")
		return
	}
	info, err := c.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	require.Equal(t, coordinator.Submitted, info.Status)
	release()
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"02 confirm", "01 confirm"}, p.calls(tx.GID(), tcc.Confirm))
}

// A Submit that never arrived: the transaction is aborted, and one that arrives
// later has no effect.
func testSubmitRequestLost(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL())
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	f.on("Submit", loseRequest)
	err := tx.Commit(bounded(t))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, tx.GID(), aborted.GID)
	require.ErrorContains(t, err, "the test lost it")
	require.Equal(t, codes.Unavailable, grpcCode(err))
	require.Equal(t, 1, f.count("Submit"))

	late, ok := f.message(t, "Submit").(*dtmgpb.DtmRequest)
	require.True(t, ok)
	_, err = f.next.Submit(bounded(t), late)
	require.Equal(t, codes.Aborted, grpcCode(err), "%v", err)
	info := awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Contains(t, info.Reason, "submit had no clear answer")
	require.Equal(t, []string{"01 try", "01 cancel"}, p.calls(tx.GID()))
}

// The caller's time ends while Submit is on its way, which then is fenced off.
func testSubmitLate(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL())
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	arrived, deliver, late := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	f.on("Submit", func(_ context.Context, forward func() error) error {
		close(arrived)
		<-deliver
		err := forward()
		late <- err
		return err
	})
	ctx, cancel := context.WithCancel(bounded(t))
	go func() {
		<-arrived
		cancel()
	}()
	err := tx.Commit(ctx)
	close(deliver)
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, codes.Aborted, grpcCode(<-late), "the Submit that arrived late")
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, []string{"01 try", "01 cancel"}, p.calls(tx.GID()))
}

// The connection breaks when the coordinator has accepted.
func testSubmitReplyLost(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL())
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	ctx, cancel := context.WithCancel(bounded(t))
	f.on("Submit", func(ctx context.Context, forward func() error) error {
		err := forward()
		cancel() // the answer arrives nowhere
		<-ctx.Done()
		return err
	})
	require.NoError(t, tx.Commit(ctx), "it is committed, although the caller has gone")
	require.Zero(t, f.count("Abort"))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"01 try", "01 confirm"}, p.calls(tx.GID()))
}

// Accepted, and then nobody can be asked.
func testSubmitUnknown(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), "http://"+refusing(t), func(cfg *coordinator.Config) { cfg.SettleTimeout = 300 * time.Millisecond })
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	f.on("Submit", loseReply)
	f.on("Abort", loseRequest)
	err := tx.Commit(bounded(t))
	var unknown *coordinator.UnknownError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, tx.GID(), unknown.GID)
	require.ErrorContains(t, err, tx.GID())
	require.Equal(t, codes.Unknown, grpcCode(err))
	require.Equal(t, 1, f.count("Submit"))

	// Asked later, the coordinator knows.
	status, err := d.client(t).Settle(bounded(t), tx.GID(), "not to be used")
	require.NoError(t, err)
	require.True(t, status.Committed())
	awaitStatus(t, d.client(t), tx.GID(), coordinator.Succeeded)
}

// A Submit that never left the process cannot have been accepted, whoever can
// be asked.
func testSubmitWithoutConnection(t *testing.T, d *dtm) {
	proxy := testserver.NewProxy(t, d.GRPCAddr())
	conn := dial(t, proxy.Addr())
	c := newClient(t, conn, "http://"+refusing(t), func(cfg *coordinator.Config) { cfg.SettleTimeout = 300 * time.Millisecond })
	p := newParticipant(t)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	proxy.Refuse()
	awaitDisconnected(t, conn)
	err := tx.Commit(bounded(t))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, codes.Unavailable, grpcCode(err))
	direct := d.client(t)
	info, err := direct.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	require.Equal(t, coordinator.Prepared, info.Status, "the coordinator will abort it by itself")
	status, err := direct.Settle(bounded(t), tx.GID(), "clean-up")
	require.NoError(t, err)
	require.True(t, status.Aborted())
}
