package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// fate is what becomes of the call that was stopped when somebody was killed.
type fate string

const (
	// lost: the call, or its answer, never arrives.
	lost fate = "is lost"
	// arrives: it arrives at once, though its sender or the server it was meant for is gone.
	arrives fate = "arrives"
	// arrivesLate: it arrives when all is over.
	arrivesLate fate = "arrives late"
)

// initiatorKilled stops an order at a call that the order service makes, and kills that service.
type initiatorKilled struct {
	behind string // the relay: who is called
	when   moment
	method string
	fate   fate
	// proof is the transaction's status at DTM, or the state of the branch, at the kill.
	proof string
	ends  outcome
}

func (c initiatorKilled) String() string {
	return "order killed " + c.when.String() + " " + c.method + ", which " + string(c.fate)
}

// TestInitiatorKilled kills the order service while orders are stopped at every step of its part, two at each.
// Of the two requests one is sent again at once, the other is left alone until DTM has ended it.
func TestInitiatorKilled(t *testing.T) {
	cases := []initiatorKilled{
		{dtm, before, "Prepare", lost, "", confirmed},
		{dtm, before, "Prepare", arrives, "", confirmed},
		{dtm, after, "Prepare", lost, "prepared", confirmed},
		{dtm, before, "RegisterBranch/ConfirmCreate", lost, "prepared", confirmed},
		{dtm, before, "RegisterBranch/ConfirmDebit", arrives, "prepared", confirmed},
		{dtm, after, "RegisterBranch/ConfirmReserve", lost, "prepared", confirmed},
		{order, before, "TryCreate", lost, "NONE", confirmed},
		{order, before, "TryCreate", arrivesLate, "NONE", confirmed},
		{order, after, "TryCreate", lost, "TRIED", confirmed},
		{account, before, "TryDebit", lost, "NONE", confirmed},
		{account, before, "TryDebit", arrives, "NONE", confirmed},
		{account, before, "TryDebit", arrivesLate, "NONE", confirmed},
		{account, after, "TryDebit", lost, "TRIED", confirmed},
		{stock, before, "TryReserve", arrivesLate, "NONE", confirmed},
		{stock, after, "TryReserve", lost, "TRIED", confirmed},
		{dtm, before, "Submit", lost, "prepared", confirmed},
		{dtm, before, "Submit", arrives, "prepared", confirmed},
		{dtm, before, "Submit", arrivesLate, "prepared", confirmed},
		{dtm, after, "Submit", lost, "decided", confirmed},
		{dtm, before, "Abort", lost, "prepared", outOfStock},
		{dtm, before, "Abort", arrives, "prepared", outOfBalance},
		{dtm, after, "Abort", lost, "decided", outOfStock},
		// Last, for its lock is not waited for long.
		{order, during, "TryCreate", lost, "NONE", confirmed},
	}
	onEachStore(t, func(t *testing.T, store dtmStore) {
		var mine []initiatorKilled
		for _, i := range store.share(len(cases)) {
			mine = append(mine, cases[i])
		}
		killInitiator(t, newShop(t, store.open(t)), mine)
	})
}

// killInitiator kills the order service once for all the cases.
func killInitiator(t *testing.T, s *shop, cases []initiatorKilled) {
	var all []*stoppedOrder
	for _, c := range cases {
		all = append(all, &stoppedOrder{initiatorKilled: c, sentAgain: true}, &stoppedOrder{initiatorKilled: c})
	}
	for _, o := range all {
		o.customer = s.customer(t, o.ends)
	}
	stopAll(t, s, all)
	s.services[order].kill(t)
	for _, o := range all {
		o.meet(arrives)
		o.meet(lost)
		o.call.wait(t)
	}
	s.services[order].start(t)
	for _, o := range all {
		if o.sentAgain {
			o.again(t)
		}
	}
	s.settled(t)
	for _, o := range all {
		o.leftAlone(t)
		o.arriveLate(t, s)
	}
	s.settled(t)
	for _, o := range all {
		o.again(t)
	}
	s.settled(t)
	for _, o := range all {
		o.done(t)
	}
}

// stoppedOrder is an order that was stopped by a case.
type stoppedOrder struct {
	initiatorKilled
	*customer
	sentAgain bool
	point     *point
	call      *calling
	firstGID  string
	unlock    func()
}

// stopAll places all orders at once, for none has more than 10 s, and returns when each of them is stopped.
func stopAll(t *testing.T, s *shop, orders []*stoppedOrder) {
	t.Helper()
	for _, o := range orders {
		o.unlock = func() {}
		o.point = s.relays[o.behind].holdFor(o.account, o.when, o.method)
		o.call = o.place(t)
	}
	waiting := 0
	for _, o := range orders {
		o.point.wait(t)
		o.firstGID = o.gid(t)
		if o.when == during {
			o.unlock = s.dbs[order].lock(t, "SELECT 1 FROM order_request WHERE account_id = ? AND request_id = ?", o.account, o.requestID)
			o.point.release()
			waiting++
		}
	}
	testserver.LockWaits(t, s.dbs[order].cfg, waiting)
	for _, o := range orders {
		o.prove(t, s)
	}
}

// prove checks that the order has come as far as the case says.
func (o *stoppedOrder) prove(t *testing.T, s *shop) {
	t.Helper()
	if o.behind == dtm {
		s.proveStatus(t, o.firstGID, o.proof)
		return
	}
	require.Equal(t, o.firstGID, o.point.gid, o.String())
	require.Equal(t, o.proof, s.dbs[o.behind].state(t, o.firstGID).String(), o.String())
}

// meet lets the stopped call meet its fate, if it is this one.
func (o *stoppedOrder) meet(now fate) {
	switch {
	case o.fate != now:
	case now == lost:
		o.unlock()
		o.point.cut()
	default:
		o.point.release()
	}
}

// leftAlone checks a request after its initiator has died and everything is settled: there is one order at
// most, which is CONFIRMED only if that was decided, or if the request was sent again.
func (o *stoppedOrder) leftAlone(t *testing.T) {
	t.Helper()
	orders := o.shop.balance(t, o.account, o.deposited, o.sku, o.put)
	made := o.ends == confirmed && (o.sentAgain || o.proof == "decided" || o.method == "Submit" && o.fate == arrives)
	require.Equal(t, made, orders == 1, "%s: %d orders", o, orders)
}

// arriveLate lets the call of a case arrive that was on its way while everything ended, and checks that it
// changes nothing.
func (o *stoppedOrder) arriveLate(t *testing.T, s *shop) {
	t.Helper()
	if o.fate != arrivesLate {
		return
	}
	o.point.release()
	err := o.point.answer(t)
	require.Equal(t, codes.Aborted, status.Code(err), "%s: %v", o, err)
	if o.behind == dtm {
		return
	}
	require.Equal(t, tcc.ReasonLateTry, reason(err), "%s: %v", o, err)
	require.Equal(t, barrier.EmptyCancelled, s.dbs[o.behind].state(t, o.firstGID), o.String())
}
