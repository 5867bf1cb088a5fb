package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// stranger is a gid that nobody has begun.
const stranger = "01a1fe94-50c2-7bec-9187-1742cfdd9ee4"

// shownTransaction is what `tx show --json` prints, as far as it is of interest.
type shownTransaction struct {
	Coordinator *struct{ Status, Reason string }
	Branches    []struct {
		Participant, Target, Confirm, Cancel, State string
		BranchID                                    string `json:"branch_id"`
		Rejection                                   *tcc.Rejection
	}
	People   []struct{ Did, By, Reason, Before, After, Note string }
	NotAsked map[string]string `json:"not_asked"`
}

func (o *orphanage) show(gid string, args ...string) shownTransaction {
	o.t.Helper()
	out, _ := o.tcckit(0, append([]string{"tx", "show", gid, "--json"}, args...)...)
	var s shownTransaction
	require.NoError(o.t, json.Unmarshal([]byte(out), &s))
	return s
}

// rejected leaves a transaction that was aborted since a branch was rejected.
func (o *orphanage) rejected() string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), bound)
	defer cancel()
	tx, err := o.client.Begin(ctx)
	require.NoError(o.t, err)
	rejection := new(coordinator.RejectedError)
	require.ErrorAs(o.t, tx.Try(ctx, o.branch(1, o.Internal), o.branch(100_000, o.Internal)), &rejection)
	require.NoError(o.t, tx.Abort(ctx, "rejected: "+rejection.Rejection.Reason))
	o.eventually("it is aborted", func() bool {
		info, err := o.client.Query(ctx, tx.GID())
		return err == nil && info.Status == coordinator.Failed
	})
	return tx.GID()
}

// TestTransactions lists, shows, tries again and stops transactions, with both builds of DTM on each of its stores.
func TestTransactions(t *testing.T) {
	t.Parallel()
	for build, locate := range map[string]func(string) (string, error){"ours": dtmserver.Locate, "stock": dtmserver.LocateStock} {
		t.Run(build, func(t *testing.T) {
			t.Parallel()
			onEachStore(t, locate, nil, testTransactions)
		})
	}
}

func testTransactions(o *orphanage) {
	t := o.t
	way := testserver.NewProxy(t, o.Internal)
	way.Refuse()
	rejected := o.rejected()
	mended := o.waiting(o.branch(1, o.Internal), o.branch(2, way.Addr()))
	other := o.waiting(o.branch(4, refusing(t)))

	// Listed.
	var listed []struct{ GID, Status string }
	out, log := o.tcckit(0, "tx", "list", "--json")
	require.NoError(t, json.Unmarshal([]byte(out), &listed))
	require.Len(t, listed, 2, out)
	require.Empty(t, log)
	out, _ = o.tcckit(0, "tx", "list")
	require.Regexp(t, `(?m)^\d+s\s+submitted\s+`+mended+`\s+in \d`, out)
	out, log = o.tcckit(0, "tx", "list", "--limit=1", "--json")
	require.NoError(t, json.Unmarshal([]byte(out), &listed))
	require.Len(t, listed, 1)
	require.Contains(t, log, "there are more")
	out, _ = o.tcckit(0, "tx", "list", "--older-than=1d")
	require.Equal(t, "there is none\n", out)
	out, _ = o.tcckit(0, "tx", "list", "--status=failed")
	require.Regexp(t, rejected+`\s+-\s+rejected: INSUFFICIENT_BALANCE`, out)
	require.NotContains(t, out, other)

	// Shown.
	s := o.show(rejected)
	require.Equal(t, "failed", s.Coordinator.Status)
	require.Equal(t, "rejected: INSUFFICIENT_BALANCE", s.Coordinator.Reason)
	require.Equal(t, []string{"CANCELLED", "REJECTED"}, []string{s.Branches[0].State, s.Branches[1].State})
	require.Equal(t, "INSUFFICIENT_BALANCE", s.Branches[1].Rejection.Reason)
	require.Equal(t, "done", s.Branches[0].Cancel)
	s = o.show(mended)
	require.Equal(t, []string{"waits", "TRIED", "next", "TRIED"}, []string{s.Branches[0].Confirm, s.Branches[0].State, s.Branches[1].Confirm, s.Branches[1].State})
	require.Equal(t, way.Addr(), s.Branches[1].Target)
	out, _ = o.tcckit(0, "tx", "show", mended)
	require.Regexp(t, `02\s+participant\s+`+way.Addr()+`\s+next\s+-\s+TRIED`, out)
	s = o.show(mended, "--account-db=sqlite:/nowhere/account.db")
	require.Contains(t, s.NotAsked["account"], "/nowhere/account.db")
	_, log = o.tcckit(1, "tx", "show", stranger)
	require.Contains(t, log, "knows no such transaction")

	// Tried again, in vain and not.
	out, _ = o.tcckit(0, "tx", "retry", mended, "--reason=a guess", "--operator=ada")
	require.Regexp(t, "^tried, and not finished: confirm of branch 02 at "+way.Addr()+" did not succeed; tried again in ", out)
	way.Accept()
	tries := 1
	const ended = "tried, and it has ended: succeed"
	o.eventually("it has ended", func() bool { // stock DTM's connection may rest for a while after its failure
		if out != ended+"\n" {
			tries++
			out, _ = o.tcckit(0, "tx", "retry", mended, "--reason=it is back", "--operator=ada")
		}
		return out == ended+"\n"
	})
	s = o.show(mended)
	require.Equal(t, []string{"CONFIRMED", "CONFIRMED"}, []string{s.Branches[0].State, s.Branches[1].State})
	require.Len(t, s.People, tries)
	require.Equal(t, []string{"retry", "ada", "a guess", "submitted", "submitted"}, []string{s.People[0].Did, s.People[0].By, s.People[0].Reason, s.People[0].Before, s.People[0].After})
	last := s.People[tries-1]
	require.Equal(t, []string{"it is back", "succeed", ended}, []string{last.Reason, last.After, last.Note})

	// Stopped.
	_, log = o.tcckit(1, "tx", "stop", other, "--reason=x")
	require.Contains(t, log, "--force")
	out, _ = o.tcckit(0, "tx", "stop", other, "--reason=CASE-118", "--operator=ada", "--force")
	require.Contains(t, out, "stopped; it was submitted.")
	require.Contains(t, out, "still held by participant (branch 01): decide with `tcckit barrier resolve --gid "+other+" --confirm or --cancel")
	s = o.show(other)
	require.Equal(t, "failed", s.Coordinator.Status)
	require.Equal(t, []string{"stop", "CASE-118", "submitted", "failed"}, []string{s.People[0].Did, s.People[0].Reason, s.People[0].Before, s.People[0].After})
	o.resolve(0, "--gid="+other, "--cancel", "--reason=CASE-118")
	out, _ = o.tcckit(0, "tx", "show", other)
	require.Regexp(t, `branch 01 of participant: cancel by .*: TRIED -> CANCELLED: CASE-118`, out)
	require.Equal(t, [3]int64{1000 - 3, 0, 3}, o.sums())

	// What cannot be.
	for _, done := range []string{mended, other} {
		_, log = o.tcckit(1, "tx", "retry", done, "--reason=x")
		require.Contains(t, log, "has ended")
		_, log = o.tcckit(1, "tx", "stop", done, "--reason=x")
		require.Contains(t, log, "has ended already")
	}
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	tx, err := o.client.Begin(ctx)
	require.NoError(t, err)
	_, log = o.tcckit(1, "tx", "retry", tx.GID(), "--reason=x")
	require.Contains(t, log, "is not decided")
	_, log = o.tcckit(1, "tx", "stop", tx.GID(), "--reason=x")
	require.Contains(t, log, "is not decided")
	out, _ = o.tcckit(0, "tx", "stop", tx.GID(), "--reason=x", "--force")
	require.Contains(t, out, "none of the participants that were asked holds anything")
	require.Error(t, tx.Commit(ctx))
	for _, command := range []string{"retry", "stop"} {
		_, log = o.tcckit(1, "tx", command, stranger, "--reason=x")
		require.Contains(t, log, "knows no such transaction")
		o.tcckit(2, "tx", command, mended)
		c := start(t, nil, "tx", command, other, "--reason=x", "--dtm-http="+o.dtm.HTTPURL())
		require.Equal(t, 1, c.code(), "it has ended")
	}
	c := start(t, nil, "tx", "stop", o.waiting(o.branch(8, refusing(t))), "--reason=x", "--force", "--dtm-http="+o.dtm.HTTPURL())
	require.Equal(t, 2, c.code())
	require.Contains(t, c.log.String(), "no participant's database is given")
	for _, bad := range [][]string{{"list", "--status=lost"}, {"list", "--limit=0"}, {"show"}, {"show", "a", "b"}, {"retry", "--reason=x", "--wait=1ms"}, {"stop"}} {
		o.tcckit(2, append([]string{"tx"}, bad...)...)
	}
}
