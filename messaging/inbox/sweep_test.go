package inbox_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/inbox"
)

// TestSweep deletes what was handled long ago, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		box := g.open(g.config(works))
		require.NoError(t, box.Handle(newMessage("old")))
		g.elapse(inbox.Done)
		require.NoError(t, box.Handle(newMessage("new")))
		cfg := g.config(works)
		cfg.Consumer = "other"
		require.NoError(t, g.open(cfg).Handle(newMessage("others")))
		insertParked(g, "parked")
		g.exec("UPDATE inbox SET due_at = due_at + 3600000 WHERE state = 2")
		cfg = g.config((new(bad)).handle)
		require.NoError(t, g.open(cfg).Handle(newMessage("dead")))

		// More than two chunks.
		for n := range 3 {
			g.exec("INSERT INTO inbox (consumer, message_id, state, tries, due_at, received_at, updated_at)"+
				" WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400) SELECT 'test', CONCAT('many', ?, '-', n), 1, 1, n, 0, 0 FROM n", n)
		}
		run(t, box)
		eventually(t, "the old ones to go", func() bool { return g.number("SELECT COUNT(*) FROM inbox WHERE state = 1 AND consumer = 'test'") == 1 })
		require.Equal(t, inbox.Done, g.row("new").State)
		require.Equal(t, inbox.Parked, g.row("parked").State)
		require.Equal(t, inbox.Dead, g.row("dead").State)
		require.Equal(t, 1, g.number("SELECT COUNT(*) FROM inbox WHERE consumer = 'other'"))
	})
}

// TestRetention writes down at once how long a row is kept.
func TestRetention(t *testing.T) {
	t.Parallel()
	g := newGround(t, onSQLite)
	cfg := g.config(works)
	cfg.Retention = 48 * time.Hour
	require.NoError(t, g.open(cfg).Handle(newMessage("a")))
	require.WithinDuration(t, time.Now().Add(48*time.Hour), g.row("a").Due, time.Minute)
}
