package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// refused is the fate of a call that comes while nobody listens.
const refused fate = "is refused"

// dtmKilled stops an order at a call to or from DTM, kills DTM and starts it again.
type dtmKilled struct {
	behind string // the relay: who is called
	when   moment
	method string
	fate   fate
	proof  string // the transaction's status at the kill
	ends   outcome
}

func (c dtmKilled) String() string {
	return "DTM killed " + c.when.String() + " " + c.method + ", which " + string(c.fate)
}

// TestDTMKilled kills DTM at each step of an order.
func TestDTMKilled(t *testing.T) {
	cases := []dtmKilled{
		{dtm, before, "Prepare", refused, "", confirmed},
		{dtm, after, "Prepare", arrives, "prepared", confirmed},
		{dtm, after, "RegisterBranch/ConfirmDebit", lost, "prepared", confirmed},
		{account, before, "TryDebit", arrives, "prepared", confirmed},
		{stock, after, "TryReserve", arrives, "prepared", confirmed},
		{dtm, before, "RegisterBranch/ConfirmReserve", refused, "prepared", confirmed},
		{dtm, before, "Submit", arrives, "prepared", confirmed},
		{dtm, before, "Submit", refused, "prepared", confirmed},
		{dtm, after, "Submit", lost, "decided", confirmed},
		{stock, before, "ConfirmReserve", lost, "submitted", confirmed},
		{account, before, "ConfirmDebit", arrives, "submitted", confirmed},
		{order, after, "ConfirmCreate", lost, "submitted", confirmed},
		{dtm, before, "Abort", refused, "prepared", outOfStock},
		{dtm, after, "Abort", lost, "decided", outOfBalance},
		{account, before, "CancelDebit", lost, "aborting", outOfStock},
		{stock, after, "CancelReserve", arrives, "aborting", outOfBalance},
		{account, after, "CancelDebit", lost, "aborting", outOfStock},
		{order, before, "CancelCreate", arrives, "aborting", outOfBalance},
	}
	onEachStore(t, func(t *testing.T, store dtmStore) { inShops(t, store, 2, cases, dtmKilled.run) })
}

func (c dtmKilled) run(t *testing.T, s *shop) {
	buyer := s.customer(t, c.ends)
	point := s.relays[c.behind].hold(c.when, c.method)
	call := buyer.place(t)
	point.wait(t)
	s.proveStatus(t, buyer.gid(t), c.proof)

	require.NoError(t, s.dtm.Kill())
	if c.fate == refused {
		point.release()
	}
	require.NoError(t, s.dtm.Restart(bounded(t)))
	if c.fate == lost {
		point.cut()
	} else {
		point.release()
	}

	call.wait(t) // it may have failed
	s.settled(t)
	buyer.again(t)
	s.settled(t)
	buyer.done(t)
}

// proveStatus checks a transaction's status at DTM; "decided" is any after the decision.
func (s *shop) proveStatus(t testing.TB, gid, want string) {
	t.Helper()
	got := s.status(t, gid)
	if want == "decided" {
		require.NotContains(t, []string{"", "prepared"}, got)
		return
	}
	require.Equal(t, want, got)
}
