package coordinator_test

import (
	"context"
	"testing"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func proto2dtm(t testing.TB, m proto.Message) *dtmgpb.DtmRequest {
	t.Helper()
	r, ok := m.(*dtmgpb.DtmRequest)
	require.True(t, ok)
	return r
}

// Whether the branch was registered is not known, so it is not tried, and the
// transaction is aborted. The coordinator may cancel a branch that was never
// tried.
func testRegisterReplyLost(t *testing.T, d *dtm) {
	for name, lost := range map[string]fault{"reply": loseReply, "request": loseRequest} {
		f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
		c := newClient(t, dial(t, f.addr), d.HTTPURL())
		f.on("RegisterBranch", first(lost))
		var gid string
		err := c.Run(bounded(t), func(ctx context.Context, tx *coordinator.Transaction) error {
			gid = tx.GID()
			return tx.Try(ctx, p.branch("a"), p.branch("b"))
		})
		var aborted *coordinator.AbortedError
		require.ErrorAs(t, err, &aborted, name)
		require.Equal(t, "01", aborted.BranchID)
		require.Equal(t, tryMethod, aborted.Method)
		require.Equal(t, []string{"Prepare", "RegisterBranch", "Abort"}, f.methods())
		awaitStatus(t, c, gid, coordinator.Failed)
		require.Empty(t, p.got(gid, tcc.Try, tcc.Confirm))
	}
}

func testRegisterNotRepeated(t *testing.T, d *dtm) {
	for name, opts := range retrying() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
			c := newClient(t, dial(t, f.addr, opts...), d.HTTPURL())
			tx := begin(t, c)
			f.on("RegisterBranch", loseReply)
			require.Error(t, tx.Try(bounded(t), p.branch("a")))
			require.Equal(t, 1, f.count("RegisterBranch"))
			var aborted *coordinator.AbortedError
			require.ErrorAs(t, tx.Commit(bounded(t)), &aborted)
			require.Zero(t, f.count("Submit"))
			awaitStatus(t, d.client(t), tx.GID(), coordinator.Failed)
		})
	}
}

func testRegisterAfterAbort(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	_, err := c.Settle(bounded(t), tx.GID(), "somebody else")
	require.NoError(t, err)
	err = tx.Try(bounded(t), p.branch("b"))
	var aborted *coordinator.AbortedError
	require.ErrorAs(t, err, &aborted)
	require.ErrorContains(t, err, "has aborted it already")
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, []string{"01 try", "01 cancel"}, p.calls(tx.GID()), "the second branch got nothing")
}

// Prepare may be repeated, and is.
func testPrepareReplyLost(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), d.HTTPURL())
	f.on("Prepare", first(loseReply))
	tx := begin(t, c)
	require.Equal(t, 2, f.count("Prepare"))
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)

	f.on("Prepare", loseReply)
	_, err := c.Begin(bounded(t))
	var away *coordinator.UnavailableError
	require.ErrorAs(t, err, &away)
	require.ErrorIs(t, err, tcc.ErrUnavailable)
	require.NotEmpty(t, away.GID)
	require.Equal(t, codes.Unavailable, grpcCode(err))
}

func testGIDUsed(t *testing.T, d *dtm) {
	c := d.client(t)
	const mine = "9b7f-chosen-by-the-caller"
	require.NoError(t, c.Run(bounded(t), func(_ context.Context, tx *coordinator.Transaction) error {
		require.Equal(t, mine, tx.GID())
		return nil
	}, coordinator.WithGID(mine)))
	awaitStatus(t, c, mine, coordinator.Succeeded)
	_, err := c.Begin(bounded(t), coordinator.WithGID(mine))
	require.ErrorIs(t, err, coordinator.ErrGIDUsed)
	require.ErrorContains(t, err, mine)
	_, err = c.Begin(bounded(t), coordinator.WithGID("with space"))
	require.ErrorIs(t, err, tcc.ErrInvalid)
}

// A connection that drops the options of a call would drop the guard of Submit
// with them. It is refused before anything is tried.
func TestConnectionThatDropsOptions(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	careless := grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, _ ...grpc.CallOption) error {
		return invoker(ctx, method, req, reply, cc)
	})
	c, p := newClient(t, dial(t, s.grpcAddr, careless), s.httpURL), newParticipant(t)
	tx := begin(t, c)
	err := tx.Try(bounded(t), p.branch("a"))
	require.ErrorContains(t, err, "drops the options of a call")
	require.Empty(t, p.got(tx.GID()))
	require.Error(t, tx.Commit(bounded(t)))
	require.Equal(t, coordinator.Failed, s.status(tx.GID()))
}
