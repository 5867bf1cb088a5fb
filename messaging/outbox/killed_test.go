package outbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// TestKilled kills a process that writes and publishes between every two of its
// statements. Whatever it leaves, the messages are there if the business is, the
// next relay publishes them all, and in order.
func TestKilled(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		serial := map[messaging.Dialect]string{messaging.MySQL: "AUTO_INCREMENT", messaging.SQLite: "AUTOINCREMENT"}[b.dialect]
		b.exec("CREATE TABLE taken (n INTEGER PRIMARY KEY " + serial + ", id VARCHAR(64) NOT NULL)")
		claimed, again := 0, 0
		// In the usual run the kinds of database share the moments among them.
		step := testserver.Volume(3, 1)
		n := 1 + slices.Index(databasetest.Kinds(), b.kind)%step
		for ; ; n += step {
			e := errand{Dialect: b.dialect, DSN: b.dsn, Prefix: fmt.Sprintf("%03d", n), KillAt: n}
			killed := e.run(t)
			c, a := b.requireRecovered(e)
			claimed, again = claimed+c, again+a
			if !killed {
				t.Logf("killed at moments up to %d: %d messages were claimed then, %d were published again", n-step, claimed, again)
				require.Greater(t, n, 40, "the child is hardly ever killed")
				require.Positive(t, claimed, "it is never killed with messages in its hands")
				require.Positive(t, again, "it is never killed between publishing and its note")
				return
			}
		}
	})
}

// requireRecovered has another relay finish what a child began. It returns how
// many messages the child had in its hands, and how many were published twice.
func (b *box) requireRecovered(e errand) (claimed, again int) {
	b.t.Helper()
	msgs := e.messages()
	business := b.number("SELECT COUNT(*) FROM business WHERE id = ?", e.Prefix)
	require.Equal(b.t, business*len(msgs), b.number("SELECT COUNT(*) FROM outbox WHERE id LIKE ?", e.Prefix+"-%"), "the messages are there if the business is")
	claimed = b.number("SELECT COUNT(*) FROM outbox WHERE claimed_by <> 0")
	b.exec("UPDATE outbox SET claimed_until = 0 WHERE claimed_by <> 0") // as time does
	stop := b.relay(&table{mortal: &mortal{}, db: b.db, refuse: e.Prefix + "-o-00000"})
	b.idle()
	stop()
	if business == 0 {
		return claimed, 0
	}
	var taken []string
	rows, err := b.db.QueryContext(b.t.Context(), "SELECT id FROM taken WHERE id LIKE ? ORDER BY n", e.Prefix+"-%")
	require.NoError(b.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		require.NoError(b.t, rows.Scan(&id))
		taken = append(taken, id)
	}
	require.NoError(b.t, rows.Err())
	var firsts []string
	for _, id := range taken {
		if !slices.Contains(firsts, id) {
			firsts = append(firsts, id)
		}
	}
	require.ElementsMatch(b.t, idsOf(msgs), firsts, "each is published")
	ordered := slices.DeleteFunc(slices.Clone(firsts), func(id string) bool { return !strings.Contains(id, "-o-") })
	require.IsIncreasing(b.t, ordered, "in order: %v", taken)
	for _, m := range msgs {
		require.Equal(b.t, outbox.StateSent, b.get(m.ID).State)
	}
	return claimed, len(taken) - len(firsts)
}

// run runs the errand in a process of its own and reports whether that was
// killed.
func (e errand) run(t *testing.T) bool {
	t.Helper()
	order, err := json.Marshal(e)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+string(order))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%s: %s", err, out)
	return true
}
