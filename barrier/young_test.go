package barrier_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
)

const day = 24 * time.Hour

// uuidAt is a UUIDv7 of another time.
func uuidAt(at time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id.String()
}

func TestBeyondPassesOverTheYoung(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := barrier.SweepOptions{Retention: 30 * day}
	for name, c := range map[string]struct {
		gid  string
		over bool
	}{
		"beginning":          {"", false},
		"another's":          {"0-order", false},
		"old":                {uuidAt(now.Add(-31 * day)), false},
		"about to be old":    {uuidAt(now.Add(-30*day - time.Second)), false},
		"young":              {uuidAt(now.Add(-30*day + time.Second)), true},
		"of now":             {uuidAt(now), true},
		"a clock ahead":      {uuidAt(now.Add(time.Hour)), true},
		"a clock far ahead":  {uuidAt(now.Add(2 * day)), false},
		"another's, behind":  {"order-4711", false},
		"another's, between": {uuidAt(now)[:13] + "-order", true},
	} {
		p := barrier.Position{GID: c.gid, BranchID: "01"}
		next := o.Beyond(p, now)
		if !c.over {
			require.Equal(t, p, next, name)
			continue
		}
		require.Greater(t, next.GID, uuidAt(now.Add(time.Hour)), name)
		require.Less(t, next.GID, uuidAt(now.Add(2*day)), name)
		require.Empty(t, next.BranchID, name)
	}
}

// A sweep does not read what cannot be old, and finds what lies behind.
func TestSweepPassesOverTheYoung(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, tillMigrations(), func(t *testing.T, db *database.DB) {
		now := time.Now()
		insert := func(gid string, age time.Duration) {
			query, at := "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES (?, '01', 2, ?)", any(now.Add(-age).UTC())
			if db.Dialect() == database.SQLite {
				at = now.Add(-age).UnixMilli()
			}
			_, err := db.SQL().ExecContext(t.Context(), query, gid, at)
			require.NoError(t, err)
		}
		for i := range 10 {
			insert(uuidAt(now.Add(-time.Duration(31+i)*day)), time.Duration(31+i)*day)
		}
		for i := range 100 {
			insert(uuidAt(now.Add(-time.Duration(i)*time.Hour)), time.Duration(i)*time.Hour)
		}
		insert("order-1", 35*day)
		insert("order-2", time.Hour)

		var sum barrier.SweepResult
		o := barrier.SweepOptions{Limit: 5}
		for n := 0; !sum.Done; n++ {
			require.Less(t, n, 10, "the sweep does not end")
			res, err := db.Barrier().Sweep(t.Context(), o)
			require.NoError(t, err)
			sum.Scanned, sum.Deleted, sum.Done = sum.Scanned+res.Scanned, sum.Deleted+res.Deleted, res.Done
			sum.Oldest = max(sum.Oldest, res.Oldest)
			o.After = res.Next
		}
		require.Equal(t, []int64{17, 11}, []int64{sum.Scanned, sum.Deleted}, "scanned and deleted: one chunk of the young is read")
		require.InDelta(t, 40*day.Hours(), sum.Oldest.Hours(), 1)
		var left int
		require.NoError(t, db.SQL().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM sub_transaction_barrier").Scan(&left))
		require.Equal(t, 101, left)
	})
}
