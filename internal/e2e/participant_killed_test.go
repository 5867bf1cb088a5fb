package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// TestParticipantKilled kills a participant before, during and after each of its phases.
func TestParticipantKilled(t *testing.T) {
	cases := []participantKilled{
		{account, before, tcc.Try},
		{account, during, tcc.Confirm},
		{account, after, tcc.Cancel},
		{account, during, tcc.Try},
		{account, after, tcc.Confirm},
		{account, before, tcc.Cancel},
		{account, after, tcc.Try},
		{account, before, tcc.Confirm},
		{account, during, tcc.Cancel},
		{stock, before, tcc.Try},
		{stock, during, tcc.Confirm},
		{stock, after, tcc.Cancel},
		{stock, during, tcc.Try},
		{stock, after, tcc.Confirm},
		{stock, before, tcc.Cancel},
		{stock, after, tcc.Try},
		{stock, before, tcc.Confirm},
		{stock, during, tcc.Cancel},
		// Killed at a Try, order is the initiator, too: see TestInitiatorKilled.
		{order, before, tcc.Confirm},
		{order, during, tcc.Confirm},
		{order, after, tcc.Confirm},
		{order, after, tcc.Cancel},
		{order, before, tcc.Cancel},
		{order, during, tcc.Cancel},
	}
	onEachStore(t, func(t *testing.T, store dtmStore) { inShops(t, store, 3, cases, participantKilled.run) })
}

type participantKilled struct {
	service string
	when    moment
	phase   tcc.Phase
}

func (c participantKilled) String() string {
	return c.service + " killed " + c.when.String() + " " + method(c.service, c.phase)
}

// method is a phase's method.
func method(service string, phase tcc.Phase) string {
	action := map[string]string{account: "Debit", stock: "Reserve", order: "Create"}[service]
	return map[tcc.Phase]string{tcc.Try: "Try", tcc.Confirm: "Confirm", tcc.Cancel: "Cancel"}[phase] + action
}

func (c participantKilled) run(t *testing.T, s *shop) {
	buyer := s.customer(t, rejectedElsewhere(c.service, c.phase))
	point := s.relays[c.service].hold(c.when, method(c.service, c.phase))
	call := buyer.place(t)
	point.wait(t)

	unlock := func() {}
	if c.when == during {
		unlock = buyer.lockRow(t, c.service)
		point.release()
		testserver.LockWaits(t, s.dbs[c.service].cfg, 1)
	}
	require.Equal(t, stateAround(c.phase, c.when == after), s.dbs[c.service].state(t, point.gid))
	s.services[c.service].kill(t)
	unlock()
	point.cut() // it is on its way to nobody, or its answer is
	s.services[c.service].start(t)

	call.wait(t) // it may have been cut off
	s.settled(t)
	buyer.again(t)
	s.settled(t)
	buyer.done(t)
}

// rejectedElsewhere is the end of an order in which a phase of a service has something to do: a Cancel
// follows only if another participant rejects the order.
func rejectedElsewhere(service string, phase tcc.Phase) outcome {
	switch {
	case phase != tcc.Cancel:
		return confirmed
	case service == stock:
		return outOfBalance
	default:
		return outOfStock
	}
}

// stateAround is the barrier row's state before or after a phase has taken effect.
func stateAround(phase tcc.Phase, done bool) barrier.State {
	from := barrier.Tried
	if phase == tcc.Try {
		from = barrier.None
	}
	if done {
		_, next := barrier.Decide(from, phase)
		return next
	}
	return from
}

// lockRow locks the row that a service's branch of the customer's order needs.
func (c *customer) lockRow(t testing.TB, service string) (unlock func()) {
	t.Helper()
	switch service {
	case account:
		return c.shop.dbs[account].lock(t, "SELECT 1 FROM account WHERE account_id = ?", c.account)
	case stock:
		return c.shop.dbs[stock].lock(t, "SELECT 1 FROM item WHERE sku = ?", c.sku)
	default:
		return c.shop.dbs[order].lock(t, "SELECT 1 FROM orders WHERE account_id = ? AND request_id = ?", c.account, c.requestID)
	}
}
