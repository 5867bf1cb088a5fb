package barrier_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/tcc"
)

// TestKilledResolver kills a resolver between every two of its calls. Whatever
// it leaves, what was done is written down, and done again the rest is done
// once.
func TestKilledResolver(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			databasetest.Migrate(t, dsn, tillMigrations())
			s := openTill(t, databasetest.Open(t, dsn, tillMigrations()))
			open, ended := 0, 0
			for n := 1; ; n++ {
				e := errand{
					DSN: dsn, Addr: s.addr, Key: testKey, KillAt: n,
					Commit: fmt.Sprintf("%d-commit", n), Abort: fmt.Sprintf("%d-abort", n), Operator: fmt.Sprintf("%d-operator", n),
				}
				s.stuck(e.Commit, e.Abort, e.Operator)
				killed := e.run(t)
				o, d := s.requireWrittenDown(e)
				open, ended = open+o, ended+d

				r := s.resolver(&oracle{views: map[string]barrier.View{e.Commit: says(barrier.Committed), e.Abort: says(barrier.Aborted)}})
				_, err := r.Pass(t.Context())
				require.NoError(t, err)
				_, err = r.Resolve(t.Context(), barrier.Decision{GID: e.Operator, Phase: tcc.Cancel, By: "ada", Reason: "CASE-118"})
				require.NoError(t, err)
				s.requireState(e.Commit, barrier.Confirmed)
				s.requireState(e.Abort, barrier.Cancelled)
				s.requireState(e.Operator, barrier.Cancelled)
				s.requireSums(1000-n, 0, n)
				for _, gid := range []string{e.Commit, e.Abort, e.Operator} {
					for _, rec := range s.records(gid) {
						require.False(t, rec.Open(), "%d: %+v", n, rec)
					}
				}
				require.Len(t, s.records(e.Operator), 1, "the same decision is one record")
				if !killed {
					t.Logf("killed at %d moments; left %d records open, %d of branches that had ended", n-1, open, ended)
					require.Greater(t, n, 20, "the child is hardly ever killed")
					require.Positive(t, ended, "it is never killed between the act and its record")
					require.Greater(t, open, ended, "it is never killed between the record and the act")
					return
				}
			}
		})
	}
}

// requireWrittenDown requires a record of each branch that has ended, and
// returns how many records are open, and of how many of those the branch has
// ended.
func (s *till) requireWrittenDown(e errand) (open, ended int) {
	s.t.Helper()
	for _, gid := range []string{e.Commit, e.Abort, e.Operator} {
		branches, err := s.store().Branches(s.t.Context(), gid)
		require.NoError(s.t, err)
		records := s.records(gid)
		if branches[0].State != barrier.Tried {
			require.NotEmpty(s.t, records, "%s has ended, and nobody wrote down why", gid)
		}
		for _, r := range records {
			if r.Open() {
				open++
				if branches[0].State != barrier.Tried {
					ended++
				}
			}
		}
	}
	return open, ended
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
