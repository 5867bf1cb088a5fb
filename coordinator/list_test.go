package coordinator_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// Every transaction of a status is on some page, on every store.
func testList(t *testing.T, d *dtm) {
	d = d.own(t)
	c, p := d.client(t), newParticipant(t)
	var open, ended []string
	for range 5 {
		open = append(open, begin(t, c).GID())
		tx := begin(t, c)
		require.NoError(t, tx.Try(bounded(t), p.branch("a")))
		require.NoError(t, tx.Commit(bounded(t)))
		awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
		ended = append(ended, tx.GID())
	}
	all := func(status coordinator.Status, limit int) (gids []string) {
		seen := make(map[string]bool)
		opts := coordinator.ListOptions{Status: status, Limit: limit}
		for range 100 {
			page, err := c.List(bounded(t), opts)
			require.NoError(t, err)
			for _, info := range page.Transactions {
				require.Equal(t, "tcc", info.Type)
				require.False(t, info.Created.IsZero())
				if status != "" {
					require.Equal(t, status, info.Status)
				}
				if !seen[info.GID] {
					seen[info.GID] = true
					gids = append(gids, info.GID)
				}
			}
			if opts.After = page.Next; opts.After == "" {
				return gids
			}
		}
		require.Fail(t, "the pages have no end")
		return nil
	}
	require.ElementsMatch(t, open, all(coordinator.Prepared, coordinator.MaxList))
	require.ElementsMatch(t, ended, all(coordinator.Succeeded, coordinator.MaxList))
	require.ElementsMatch(t, append(open, ended...), all("", coordinator.MaxList))
	require.Subset(t, append(open, ended...), all("", 3))
	for _, limit := range []int{-1, coordinator.MaxList + 1} {
		_, err := c.List(bounded(t), coordinator.ListOptions{Limit: limit})
		require.Error(t, err)
	}
}

// A transaction that was stopped is failed, and nobody is called for it any more.
func testStop(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	p.answer(tcc.Confirm, errors.New("not yet"))
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)))
	eventually(t, func() bool { return len(p.got(tx.GID(), tcc.Confirm)) == 1 }, "no Confirm")
	require.NoError(t, c.Stop(bounded(t), tx.GID()))
	info, err := c.Query(bounded(t), tx.GID())
	require.NoError(t, err)
	require.Equal(t, coordinator.Failed, info.Status)
	require.ErrorIs(t, c.Stop(bounded(t), tx.GID()), coordinator.ErrFinished)
	require.ErrorIs(t, c.Stop(bounded(t), "01a1fe94-50c2-7bec-9187-1742cfdd9ee4"), coordinator.ErrNotFound)
	require.Error(t, c.Stop(bounded(t), ""))
	require.Len(t, p.got(tx.GID(), tcc.Confirm), 1)
	require.Empty(t, p.got(tx.GID(), tcc.Cancel))
}

// DTM finishes it between the question and the stop, and then fails to change what has changed.
func TestStopOfWhatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	status := coordinator.Submitted
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			status = coordinator.Succeeded
			http.Error(w, `{"message":"storage: NotFound"}`, http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, `{"transaction":{"gid":"gid","status":%q}}`, status)
	}))
	t.Cleanup(s.Close)
	require.ErrorIs(t, newClient(t, dial(t, refusing(t)), s.URL).Stop(bounded(t), "gid"), coordinator.ErrFinished)
}

func TestOperatorsWithoutAnswer(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"hello":"world"}`)) }))
	t.Cleanup(s.Close)
	for name, url := range map[string]string{"nobody": "http://" + refusing(t), "another": s.URL} {
		c := newClient(t, dial(t, refusing(t)), url)
		_, err := c.List(bounded(t), coordinator.ListOptions{})
		require.ErrorAs(t, err, new(*coordinator.UnavailableError), name)
		require.ErrorAs(t, c.MakeDue(bounded(t), "gid"), new(*coordinator.UnavailableError), name)
		require.ErrorAs(t, c.Stop(bounded(t), "gid"), new(*coordinator.UnavailableError), name)
	}
}

// What waits for minutes is tried at once: by our build on every store, by the stock one on MySQL.
func testMakeDue(t *testing.T, d *dtm) {
	if d.stock && !d.sql {
		return // it answers the same and does nothing: see MakeDue
	}
	c, p := d.client(t), newParticipant(t)
	p.answer(tcc.Confirm, errors.New("not yet"))
	tx := begin(t, c)
	require.NoError(t, tx.Try(bounded(t), p.branch("a")))
	require.NoError(t, tx.Commit(bounded(t)))
	eventually(t, func() bool {
		info, err := c.Query(t.Context(), tx.GID())
		return err == nil && time.Until(info.NextRetry) > time.Minute
	}, "DTM does not wait")
	require.NoError(t, c.MakeDue(bounded(t), tx.GID()))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
}
