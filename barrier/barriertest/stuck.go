package barriertest

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

func stuck() []testCase {
	return []testCase{
		{name: "OldTriedOnly", run: stuckOldTriedOnly},
		{name: "OldestFirst", run: stuckOldestFirst},
	}
}

// age makes a branch's row older.
func (w *world) age(b *branch, by time.Duration) {
	w.t.Helper()
	require.NoError(w.t, w.dialect.age(w.ctx, w.db, b.gid, b.id, by))
}

func stuckOldTriedOnly(w *world) {
	var want []string
	for _, s := range allStates {
		if s == barrier.None {
			continue
		}
		w.reach(s) // of now: not listed
		b := w.reach(s)
		w.age(b, 3*hour)
		if s == barrier.Tried {
			want = append(want, b.gid)
		}
	}
	list := w.stuck(barrier.StuckOptions{OlderThan: 2 * hour})
	require.Equal(w.t, want, gids(list))
	require.WithinDuration(w.t, time.Now().Add(-3*hour), list[0].TriedAt, 30*time.Minute, "TriedAt is in another time zone")
	require.Equal(w.t, want, gids(w.stuck(barrier.StuckOptions{})), "the default threshold is an hour")
	require.Empty(w.t, w.stuck(barrier.StuckOptions{OlderThan: 4 * hour}))
}

func stuckOldestFirst(w *world) {
	it := w.item(w.t, account, "a", 1000)
	var want []string
	for range 7 {
		b := w.debit(it, 1)
		w.want(done, w.deliver(b, tcc.Try))
		w.age(b, 2*hour)
		want = append(want, b.gid)
	}
	slices.Sort(want)
	require.Equal(w.t, want, gids(w.stuck(barrier.StuckOptions{})))
	require.Equal(w.t, want[:3], gids(w.stuck(barrier.StuckOptions{Limit: 3})))
	for _, bad := range []barrier.StuckOptions{{OlderThan: -hour}, {Limit: -1}} {
		_, err := w.Store.Stuck(w.ctx, bad)
		require.Error(w.t, err, "%+v", bad)
	}
}

func (w *world) stuck(o barrier.StuckOptions) []barrier.StuckBranch {
	w.t.Helper()
	list, err := w.Store.Stuck(w.ctx, o)
	require.NoError(w.t, err)
	return list
}

func gids(list []barrier.StuckBranch) []string {
	var out []string
	for _, b := range list {
		out = append(out, b.GID)
	}
	return out
}
