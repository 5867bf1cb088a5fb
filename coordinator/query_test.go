package coordinator_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

func testQuery(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	release := p.hold(t, tcc.Confirm)
	before := time.Now().Add(-2 * time.Second) // DTM's SQL store keeps whole seconds
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	info, err := c.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	require.Equal(t, coordinator.Prepared, info.Status)

	recent := func(at time.Time) {
		t.Helper()
		require.WithinRange(t, at, before, time.Now().Add(bound))
	}
	recent(info.Created)
	recent(info.Updated)
	require.WithinDuration(t, info.Created.Add(time.Minute), info.NextRetry, 2*time.Second)
	payload := func(text string) []byte {
		b, err := proto.Marshal(wrapperspb.String(text))
		require.NoError(t, err)
		return b
	}
	require.Equal(t, &coordinator.Info{
		GID: tx.GID(), Status: coordinator.Prepared, Type: "tcc",
		Created: info.Created, Updated: info.Updated, NextRetry: info.NextRetry, RetryInterval: time.Minute,
		Calls: []coordinator.Call{
			{BranchID: "01", Phase: tcc.Cancel, Target: p.addr, Method: cancelMethod, Payload: payload("a")},
			{BranchID: "01", Phase: tcc.Confirm, Target: p.addr, Method: confirmMethod, Payload: payload("a")},
			{BranchID: "02", Phase: tcc.Cancel, Target: p.addr, Method: cancelMethod, Payload: payload("b")},
			{BranchID: "02", Phase: tcc.Confirm, Target: p.addr, Method: confirmMethod, Payload: payload("b")},
		},
	}, info)

	require.NoError(t, tx.Commit(bounded(t)))
	info, err = c.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	require.Equal(t, coordinator.Submitted, info.Status)
	require.Zero(t, info.Finished)
	release()
	info = awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	recent(info.Finished)
	for _, call := range info.Calls {
		require.Equal(t, call.Phase == tcc.Confirm, call.Done)
		if call.Done {
			recent(call.At)
		} else {
			require.Zero(t, call.At)
		}
	}

	tx = begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Abort(bounded(t), "no"))
	info = awaitStatus(t, c, tx.GID(), coordinator.Failed)
	require.Equal(t, "no", info.Reason)
	recent(info.Finished)

	_, err = c.Query(bounded(t), "never-begun")
	require.ErrorIs(t, err, coordinator.ErrNotFound)
	require.ErrorContains(t, err, "never-begun")
	_, err = c.Query(bounded(t), "a&gid=b")
	require.ErrorIs(t, err, coordinator.ErrNotFound, "an odd gid is escaped")
}

func TestQueryWithoutAnswer(t *testing.T) {
	t.Parallel()
	serve := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, test := range map[string]struct{ url, want string }{
		"nobody":        {"http://" + refusing(t), "connection refused"},
		"store is away": {serve(http.StatusInternalServerError, `{"message":"dial tcp: connection refused"}`), "500"},
		"another":       {serve(http.StatusOK, "<html>"), "is not DTM"},
		"a gateway":     {serve(http.StatusOK, `{"code":401}`), "is not DTM"},
	} {
		c := newClient(t, dial(t, refusing(t)), test.url)
		_, err := c.Query(bounded(t), "some-gid")
		var away *coordinator.UnavailableError
		require.ErrorAs(t, err, &away, name)
		require.Equal(t, "some-gid", away.GID)
		require.ErrorIs(t, err, tcc.ErrUnavailable)
		require.ErrorContains(t, err, test.want)
		require.Equal(t, codes.Unavailable, grpcCode(err))
	}
	_, err := newClient(t, dial(t, refusing(t)), "http://"+refusing(t)).Query(bounded(t), "")
	require.ErrorIs(t, err, tcc.ErrInvalid)
}
