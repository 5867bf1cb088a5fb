package inbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// TestKilled kills a consumer between every two of its calls to the database and
// the broker. Whatever it leaves, no message that it acknowledged is lost, and
// when what it did not acknowledge is delivered again, each has been handled
// once, or is dead.
func TestKilled(t *testing.T) {
	t.Parallel()
	kinds := []kind{onSQLite, onMySQL, onMariaDB}
	on(t, kinds[:testserver.Volume(2, 3)], func(t *testing.T, g *ground) {
		cfg := g.config(nil)
		cfg.Handler, cfg.DeadLetters = works, &letterBox{g.db, new(mortal)}
		c, err := newConsumer(t.Context(), cfg)
		require.NoError(t, err)
		c.healed.Store(true)
		var seen leftovers
		for n := int64(1); ; n++ {
			killed := g.errand(c, n, &seen)
			if !killed {
				t.Logf("killed at %d moments; left %+v", n-1, seen)
				require.Greater(t, n, int64(30), "the child is hardly ever killed")
				break
			}
		}
		require.True(t, g.errand(c, afterPublishing, &seen))
		seen.require(t)
	})
}

// errand has a child do an errand, and this process what it has left. It reports
// whether the child was killed.
func (g *ground) errand(c *consumer, killAt int64, seen *leftovers) bool {
	g.t.Helper()
	e := errand{Kind: g.kind, Source: g.source, Prefix: fmt.Sprintf("%d-", killAt), KillAt: killAt}
	acked, killed := e.run(g.t)
	seen.look(g, e, acked)
	for _, id := range e.ids() {
		if !acked[id] {
			require.NoError(g.t, c.handle(id))
		}
	}
	g.elapse(inbox.Parked)
	g.elapse(inbox.Dead)
	stop := run(g.t, c.plain)
	defer stop()
	for _, id := range e.ids() {
		if strings.HasSuffix(id, "bad") {
			g.awaitState(id, inbox.Dead)
			require.Zero(g.t, g.effects(id))
			require.Positive(g.t, g.letters(id))
			continue
		}
		g.awaitState(id, inbox.Done)
		require.Equal(g.t, 1, g.effects(id), id)
	}
	return killed
}

func (g *ground) letters(id string) int {
	g.t.Helper()
	return g.number("SELECT COUNT(*) FROM letter WHERE message_id = ?", id)
}

// leftovers counts what killed children left, to see that the moments of
// interest were among them.
type leftovers struct {
	doneUnacknowledged, parkedUnacknowledged, claimed, inPlace, unpublished, publishedUnmarked int
}

// look compares the rows of an errand with what it acknowledged.
func (l *leftovers) look(g *ground, e errand, acked map[string]bool) {
	g.t.Helper()
	for _, id := range e.ids() {
		row := g.row(id)
		if acked[id] {
			require.NotZero(g.t, row, "%s was acknowledged and is lost", id)
		}
		want := 0
		if row.State == inbox.Done {
			want = 1
		}
		require.Equal(g.t, want, g.effects(id), "%s is %s", id, row.State)
		count := func(n *int, is bool) {
			if is {
				*n++
			}
		}
		count(&l.doneUnacknowledged, row.State == inbox.Done && !acked[id])
		count(&l.parkedUnacknowledged, row.State == inbox.Parked && !row.Due.IsZero() && !acked[id])
		count(&l.claimed, row.State == inbox.Parked && !row.Due.IsZero() && row.Claimed)
		count(&l.inPlace, row.State == inbox.Parked && row.Due.IsZero())
		count(&l.unpublished, row.State == inbox.Dead && !row.Due.IsZero() && g.letters(id) == 0)
		count(&l.publishedUnmarked, row.State == inbox.Dead && !row.Due.IsZero() && g.letters(id) > 0)
	}
}

func (l *leftovers) require(t *testing.T) {
	t.Helper()
	for what, n := range map[string]int{
		"between commit and acknowledgement":            l.doneUnacknowledged,
		"between parking and acknowledgement":           l.parkedUnacknowledged,
		"between claim and commit":                      l.claimed,
		"between a failure in place and the redelivery": l.inPlace,
		"between giving up and publishing":              l.unpublished,
		"between publishing and writing it down":        l.publishedUnmarked,
	} {
		require.Positive(t, n, "it is never killed %s", what)
	}
}

// run runs the errand in a process of its own and returns what that acknowledged
// and whether it was killed.
func (e errand) run(t testing.TB) (acked map[string]bool, killed bool) {
	t.Helper()
	order, err := json.Marshal(e)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+string(order))
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	acked = make(map[string]bool)
	for id := range strings.FieldsSeq(out.String()) {
		acked[id] = true
	}
	if err == nil {
		return acked, false
	}
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%s: %s%s", err, out.String(), errOut.String())
	return acked, true
}
