package coordinator_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// DTM has waited twice its interval after a Confirm that failed, and would wait
// minutes more: it is told to try now. One way does for all its stores, of both
// builds. What it would do soon by itself is left alone.
func testRetryNow(t *testing.T, d *dtm) {
	d = d.own(t) // what others wait for is not to be tried
	c, p := d.client(t), newParticipant(t)
	p.answer(tcc.Confirm, slices.Repeat([]error{errors.New("not yet")}, 2)...)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	require.NoError(t, tx.Commit(bounded(t)))
	waits := func(interval time.Duration) *coordinator.Info {
		var info *coordinator.Info
		eventually(t, func() bool {
			var err error
			info, err = c.Query(t.Context(), tx.GID())
			return err == nil && info.RetryInterval == interval
		}, "DTM does not wait for %s", interval)
		return info
	}
	info := waits(2 * time.Minute)
	next, ok := info.NextCall()
	require.True(t, ok)
	require.Equal(t, []any{"02", tcc.Confirm}, []any{next.BranchID, next.Phase}, "the last one registered is the one that failed")

	n, err := c.RetryNow(bounded(t), 3*time.Minute, 0)
	require.NoError(t, err)
	require.Zero(t, n, "it would be tried before")
	n, err = c.RetryNow(bounded(t), time.Minute, 0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	waits(4 * time.Minute) // it failed again, and doubled the wait
	n, err = c.RetryNow(bounded(t), time.Minute, 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	info = awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"02 confirm", "02 confirm", "02 confirm", "01 confirm"}, p.calls(tx.GID(), tcc.Confirm))
	_, ok = info.NextCall()
	require.False(t, ok)
}

// Cancels too are called in reverse order of registration.
func testNextCancel(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	release := p.hold(t, tcc.Cancel)
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a"), p.branch("b")))
	info, err := c.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	_, ok := info.NextCall()
	require.False(t, ok, "nothing is decided")
	aborted := make(chan error, 1)
	go func() { aborted <- tx.Abort(bounded(t), "no") }()
	eventually(t, func() bool { return len(p.got(tx.GID(), tcc.Cancel)) == 1 }, "no Cancel")
	info, err = c.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	next, ok := info.NextCall()
	require.True(t, ok)
	require.Equal(t, []any{"02", tcc.Cancel}, []any{next.BranchID, next.Phase})
	release()
	require.NoError(t, <-aborted)
	awaitStatus(t, c, tx.GID(), coordinator.Failed)
}

func TestRetryNowWithoutAnswer(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"dtm_result":"SUCCESS"}`)) }))
	t.Cleanup(s.Close)
	for name, url := range map[string]string{"nobody": "http://" + refusing(t), "another": s.URL} {
		_, err := newClient(t, dial(t, refusing(t)), url).RetryNow(bounded(t), time.Second, 0)
		require.ErrorAs(t, err, new(*coordinator.UnavailableError), name)
		require.ErrorIs(t, err, tcc.ErrUnavailable, name)
	}
	c := newClient(t, dial(t, refusing(t)), s.URL)
	for _, bad := range []struct {
		later time.Duration
		limit int
	}{{0, 1}, {time.Second, -1}, {time.Second, coordinator.MaxRetryNow + 1}} {
		_, err := c.RetryNow(bounded(t), bad.later, bad.limit)
		require.ErrorIs(t, err, tcc.ErrInvalid, "%+v", bad)
	}
}
