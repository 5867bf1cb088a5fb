package coordinator_test

import (
	"context"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func begin(t *testing.T, c *coordinator.Client, opts ...coordinator.BeginOption) *coordinator.Transaction {
	t.Helper()
	tx, err := c.Begin(bounded(t), opts...)
	require.NoError(t, err)
	return tx
}

func testCommit(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c)
	reply := new(wrapperspb.StringValue)
	b := p.branch("work")
	b.Reply = reply
	require.NoError(t, tx.Try(bounded(t), b))
	require.Equal(t, "tried work", reply.GetValue())
	require.Equal(t, []string{"01 try"}, p.calls(tx.GID()), "nothing is confirmed before the commit")
	require.NoError(t, tx.Commit(bounded(t)))
	info := awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"01 try", "01 confirm"}, p.calls(tx.GID()))
	require.True(t, info.Status.Committed())
	require.Equal(t, "work", p.got(tx.GID(), tcc.Confirm)[0].request)

	require.ErrorContains(t, tx.Commit(bounded(t)), "has ended")
	require.ErrorContains(t, tx.Abort(bounded(t), "late"), "has ended")
	require.ErrorContains(t, tx.Try(bounded(t), p.branch("late")), "has ended")
	require.Len(t, p.got(tx.GID()), 2)
}

// The branch that was registered first is confirmed last, and not before the
// others have succeeded.
func testConfirmOrder(t *testing.T, d *dtm) {
	c, p := d.client(t, retryEverySecond), newParticipant(t)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	require.NoError(t, tx.Try(bounded(t), p.branch("c")))
	p.answer(tcc.Confirm, tcc.Pending("the first one asked needs time"))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"03 confirm", "02 confirm", "01 confirm"}, p.order(tx.GID(), tcc.Confirm, tcc.Cancel))
}

// What an initiator sends in the usual case, and nothing else.
func testRequests(t *testing.T, d *dtm) {
	f, p := newFlaky(t, d.GRPCAddr()), newParticipant(t)
	c := newClient(t, dial(t, f.addr), "http://nobody-asks.invalid", func(cfg *coordinator.Config) {
		cfg.RetryInterval, cfg.RequestTimeout = 7*time.Second, 4*time.Second
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tx, err := c.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, tx.Try(ctx, p.branch("a"), p.branch("b")))
	require.NoError(t, tx.Commit(ctx))
	require.Equal(t, []string{"Prepare", "RegisterBranch", "RegisterBranch", "Submit"}, f.methods())

	prepare, ok := f.message(t, "Prepare").(*dtmgpb.DtmRequest)
	require.True(t, ok)
	submit := f.message(t, "Submit")
	require.True(t, proto.Equal(prepare, submit), "%v\n%v", prepare, submit)
	o := prepare.GetTransOptions()
	require.False(t, o.GetWaitResult())
	require.EqualValues(t, 40, o.GetTimeoutToFail(), "the deadline, rounded up, and 10 s")
	require.EqualValues(t, 7, o.GetRetryInterval())
	require.EqualValues(t, 4, o.GetRequestTimeout())
	direct := d.client(t)
	info := awaitStatus(t, direct, tx.GID(), coordinator.Succeeded)
	require.Equal(t, 7*time.Second, info.RetryInterval)
}

// A Confirm that fails is asked again until it succeeds.
func testConfirmRetried(t *testing.T, d *dtm) {
	c, p := d.client(t, retryEverySecond), newParticipant(t)
	p.answer(tcc.Confirm, tcc.Retry(context.DeadlineExceeded))
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)), "the decision stands whatever Confirm answers")
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Greater(t, len(p.got(tx.GID(), tcc.Confirm)), 1)
	require.Empty(t, p.got(tx.GID(), tcc.Cancel))
}

func testEmptyTransaction(t *testing.T, d *dtm) {
	c := d.client(t)
	tx := begin(t, c)
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
}

// A later Try can carry what an earlier one answered.
func testSequentialTry(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c)
	reply := new(wrapperspb.StringValue)
	b := p.branch("one")
	b.Reply = reply
	b.ID = "chosen"
	require.NoError(t, tx.Try(bounded(t), b))
	require.NoError(t, tx.Try(bounded(t), p.branch(reply.GetValue())))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"chosen try", "02 try", "02 confirm", "chosen confirm"}, p.calls(tx.GID()))
	require.Equal(t, "tried one", p.got(tx.GID(), tcc.Confirm)[0].request)
}
