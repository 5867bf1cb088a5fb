package dtmserver_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

// wait begins a transaction whose first Confirm fails, so that it waits for a recovery loop, for longer than the
// test takes.
func (i initiator) wait(p *participant) string {
	i.t.Helper()
	gid := i.prepareAs(p, slow)
	p.failNext(1)
	_, err := i.dtm.Submit(bounded(i.t), slow(gid))
	require.NoError(i.t, err)
	require.Eventually(i.t, func() bool {
		return i.transaction(gid).NextCronInterval > slow(gid).GetTransOptions().GetRetryInterval()
	},
		bound, 10*time.Millisecond, "its failure was never noted")
	return gid
}

// reset is the console's button: the transaction becomes due.
func (i initiator) reset(gid string) { i.post("resetNextCronTime", gid) }

// stop is the console's other button.
func (i initiator) stop(gid string) { i.post("forceStop", gid) }

func (i initiator) post(call, gid string) {
	i.t.Helper()
	body, err := json.Marshal(map[string]string{"gid": gid})
	require.NoError(i.t, err)
	request, err := http.NewRequestWithContext(bounded(i.t), http.MethodPost, i.server.HTTPURL()+"/api/dtmsvr/"+call, bytes.NewReader(body))
	require.NoError(i.t, err)
	response, err := i.http.RoundTrip(request)
	require.NoError(i.t, err)
	require.NoError(i.t, response.Body.Close())
	require.Equal(i.t, http.StatusOK, response.StatusCode)
}

// Four loops of each server take up what waits, each transaction once.
func TestRecoveryLoopsDoNotCollide(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		i, p := newInitiator(t, start(t, ours(), store)), newParticipant(t)
		loops := 4
		if !strings.HasSuffix(t.Name(), "/boltdb") { // which one process at a time can use
			start(t, ours(), store)
			loops = 8
		}
		var gids []string
		for range testserver.Volume(24, 500) {
			gids = append(gids, i.wait(p))
		}
		p.holdCalls()
		for _, gid := range gids[:2*loops] { // not all: what is claimed is so for 10 s
			i.reset(gid)
		}
		require.Eventually(t, func() bool { return p.running() == loops }, bound, time.Millisecond, "every loop of every server takes one")
		p.release()
		for _, gid := range gids[2*loops:] {
			i.reset(gid)
		}
		for _, gid := range gids {
			i.awaitStatus(gid, "succeed")
			require.Equal(t, []string{"02 Confirm", "02 Confirm", "01 Confirm"}, p.received(gid))
		}
		require.Empty(t, p.collisions())
	})
}

func TestOneHungParticipantHoldsUpOneLoop(t *testing.T) {
	t.Parallel()
	for _, loops := range []string{"1", "2"} {
		t.Run(loops, func(t *testing.T) {
			t.Parallel()
			i := newInitiator(t, start(t, ours(), dtmserver.Bolt(), "CRON_LOOPS="+loops))
			hung, other := newParticipant(t), newParticipant(t)
			stuck, waiting := i.wait(hung), i.wait(other)
			hung.holdCalls()
			i.reset(stuck)
			hung.awaitCalls(t, stuck, 2)
			i.reset(waiting)
			if loops == "1" {
				stays(t, 4*time.Second, func() bool { return len(other.received(waiting)) == 1 })
				hung.release()
			}
			i.awaitStatus(waiting, "succeed")
			hung.release()
			i.awaitStatus(stuck, "succeed")
		})
	}
}

// What was stopped by hand stays so, also if a call was under way that fails later.
func TestAForcedStopStays(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store dtmserver.Store) {
		server := start(t, ours(), store)
		i, p := newInitiator(t, server), newParticipant(t)
		gid := i.prepare(p)
		p.holdCalls()
		require.NoError(t, i.submit(gid))
		p.awaitCalls(t, gid, 1)
		i.stop(gid)
		require.Equal(t, "failed", i.status(gid))
		p.failHeld()
		require.Eventually(t, func() bool { return bytes.Contains([]byte(server.Log()), []byte("as the test wants")) }, bound, 10*time.Millisecond)
		i.reset(gid) // does not bring it back either
		stays(t, 2*time.Second, func() bool { return i.status(gid) == "failed" && len(p.received(gid)) == 1 })
	})
}

// A participant that is away for a moment costs the transaction nothing: the call waits for it.
func TestConfirmWaitsForAParticipantThatIsAway(t *testing.T) {
	t.Parallel()
	i, p := newInitiator(t, start(t, ours(), dtmserver.Bolt())), newParticipant(t)
	gid := i.prepareAs(p, slow)
	p.stop()
	_, err := i.dtm.Submit(bounded(t), slow(gid))
	require.NoError(t, err)
	require.Equal(t, "submitted", i.status(gid))
	p.serve(t)
	i.awaitStatus(gid, "succeed")
	require.Equal(t, slow(gid).GetTransOptions().GetRetryInterval(), i.transaction(gid).NextCronInterval, "no attempt failed")
}

// stays looks for a while whether a condition ceases to hold. (Of require.Never the last look may outlive the test.)
func stays(t *testing.T, while time.Duration, holds func() bool) {
	t.Helper()
	looks := time.NewTicker(while / 40)
	defer looks.Stop()
	for range 40 {
		require.True(t, holds())
		<-looks.C
	}
}
