package dtmserver_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

func TestRepeatedSubmitIsHarmless(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		i, p := newInitiator(t, start(t, ours(), store)), newParticipant(t)
		gid := i.prepare(p)
		p.holdCalls()
		require.NoError(t, i.submit(gid))
		p.awaitCalls(t, gid, 1)
		for range 3 {
			require.NoError(t, i.submit(gid))
		}
		require.Equal(t, "submitted", i.status(gid))
		p.release()
		i.awaitStatus(gid, "succeed")
		require.Equal(t, []string{"02 Confirm", "01 Confirm"}, p.received(gid))
		require.NoError(t, i.submit(gid), "of what has succeeded")
		require.Equal(t, "succeed", i.status(gid))
		require.Len(t, p.received(gid), 2)
	})
}

// What the patch is for: should this test fail one day, DTM has mended it.
func TestRepeatedSubmitLosesConfirmsOfStockDTM(t *testing.T) {
	t.Parallel()
	i, p := newInitiator(t, start(t, stock(), dtmserver.Bolt())), newParticipant(t)
	gid := i.prepare(p)
	p.holdCalls()
	require.NoError(t, i.submit(gid))
	p.awaitCalls(t, gid, 1)
	require.NoError(t, i.submit(gid))
	i.awaitStatus(gid, "succeed")
	require.Equal(t, []string{"02 Confirm"}, p.received(gid), "branch 01 is lost")
}

func TestSubmitsAtOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		i, p := newInitiator(t, start(t, ours(), store)), newParticipant(t)
		for range 5 {
			gid := i.prepare(p)
			errs := make([]error, 16)
			var wg sync.WaitGroup
			for n := range errs {
				wg.Go(func() { errs[n] = i.submit(gid) })
			}
			wg.Wait()
			for _, err := range errs {
				require.NoError(t, err)
			}
			i.awaitStatus(gid, "succeed")
			require.Equal(t, []string{"02 Confirm", "01 Confirm"}, p.received(gid))
		}
	})
}

func TestSubmitOfWhatWasNeverPrepared(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		i := newInitiator(t, start(t, ours(), store))
		gid := uuid.NewString()
		require.Equal(t, codes.Aborted, status.Code(i.submit(gid)))
		require.Empty(t, i.status(gid))
	})
}

func TestSubmitAfterAbort(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		i, p := newInitiator(t, start(t, ours(), store)), newParticipant(t)
		gid := i.prepare(p)
		_, err := i.dtm.Abort(bounded(t), tcc(gid))
		require.NoError(t, err)
		require.Equal(t, codes.Aborted, status.Code(i.submit(gid)))
		i.awaitStatus(gid, "failed")
		require.Equal(t, []string{"02 Cancel", "01 Cancel"}, p.received(gid))
	})
}

func TestSubmitThatWaits(t *testing.T) {
	t.Parallel()
	i, p := newInitiator(t, start(t, ours(), dtmserver.Bolt())), newParticipant(t)
	request := func(gid string) *dtmgpb.DtmRequest {
		r := tcc(gid)
		r.TransOptions.WaitResult = true
		return r
	}
	gid := i.prepare(p)
	_, err := i.dtm.Submit(bounded(t), request(gid))
	require.NoError(t, err)
	require.Equal(t, "succeed", i.status(gid))

	gid = i.prepare(p)
	p.holdCalls()
	require.NoError(t, i.submit(gid))
	p.awaitCalls(t, gid, 1)
	_, err = i.dtm.Submit(bounded(t), request(gid))
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "not succeeded yet")
	p.release()
	i.awaitStatus(gid, "succeed")
	require.Len(t, p.received(gid), 2)
}

// A Confirm that fails is retried by the cron, from what the store holds.
func TestConfirmIsRetried(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		i, p := newInitiator(t, start(t, ours(), store)), newParticipant(t)
		gid := i.prepare(p)
		p.failNext(1)
		require.NoError(t, i.submit(gid))
		i.awaitStatus(gid, "succeed")
		require.Equal(t, []string{"02 Confirm", "02 Confirm", "01 Confirm"}, p.received(gid))
	})
}

// Submit's OK means that the decision survives.
func TestSubmittedSurvivesAKilledServer(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		server := start(t, ours(), store)
		i, p := newInitiator(t, server), newParticipant(t)
		gid := i.prepare(p)
		p.holdCalls()
		require.NoError(t, i.submit(gid))
		p.awaitCalls(t, gid, 1)
		require.NoError(t, server.Kill())
		p.release()
		require.NoError(t, server.Restart(bounded(t)))
		i.awaitStatus(gid, "succeed")
		require.Contains(t, p.received(gid), "01 Confirm")
	})
}

// Other kinds of transaction are processed as ever.
func TestSaga(t *testing.T) {
	t.Parallel()
	i, p := newInitiator(t, start(t, ours(), dtmserver.Bolt())), newParticipant(t)
	steps, err := json.Marshal([]map[string]string{
		{"action": p.url("A"), "compensate": p.url("UndoA")},
		{"action": p.url("B"), "compensate": p.url("UndoB")},
	})
	require.NoError(t, err)
	gid := uuid.NewString()
	_, err = i.dtm.Submit(bounded(t), &dtmgpb.DtmRequest{
		Gid: gid, TransType: "saga", Steps: string(steps), BinPayloads: [][]byte{{}, {}},
		TransOptions: &dtmgpb.DtmTransOptions{WaitResult: true},
	})
	require.NoError(t, err)
	require.Equal(t, "succeed", i.status(gid))
	require.Equal(t, []string{"01 A", "02 B"}, p.received(gid))
}

// An OK that the store does not know of would leave the participants reserved until the timeout cancels an
// order that was confirmed to its buyer. Stock DTM gives one.
func TestSubmitWithoutTheStore(t *testing.T) {
	t.Parallel()
	for _, b := range []build{ours(), stock()} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			redis := testserver.StartRedis(t)
			i, p := newInitiator(t, start(t, b, dtmserver.Redis(redis.Addr(), ""))), newParticipant(t)
			gid := i.prepare(p)
			redis.Kill()
			err := i.submit(gid)
			redis.Restart()
			i.awaitStore()
			if b.name == "stock" {
				require.NoError(t, err, "mended")
			} else {
				require.Equal(t, codes.Internal, status.Code(err), err)
			}
			require.Equal(t, "prepared", i.status(gid))
		})
	}
}
