package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// databaseCut cuts a service's connection to MySQL before or after a statement of a phase: the statement
// does not arrive, or its answer does not.
type databaseCut struct {
	service   string
	when      moment
	statement string
	phase     tcc.Phase
}

func (c databaseCut) String() string {
	return "cut " + c.when.String() + " " + strings.TrimPrefix(c.statement, comQuery) + " of " + method(c.service, c.phase)
}

// The statements with which the first and the second round trip of a phase begin, with the byte before them in
// MySQL's protocol: COMMIT alone is part of READ COMMITTED, too.
const (
	comQuery = "\x03"
	begin    = comQuery + "START TRANSACTION"
	commit   = comQuery + "COMMIT"
)

// TestDatabaseCut cuts the connection to MySQL in each phase of each participant.
func TestDatabaseCut(t *testing.T) {
	cases := []databaseCut{
		{account, before, commit, tcc.Try},
		{account, after, commit, tcc.Confirm},
		{account, before, commit, tcc.Cancel},
		{account, after, commit, tcc.Try},
		{account, before, commit, tcc.Confirm},
		{account, after, commit, tcc.Cancel},
		{stock, before, commit, tcc.Try},
		{stock, after, commit, tcc.Confirm},
		{stock, before, commit, tcc.Cancel},
		{stock, after, commit, tcc.Try},
		{stock, before, commit, tcc.Confirm},
		{stock, after, commit, tcc.Cancel},
		{order, before, commit, tcc.Try},
		{order, after, commit, tcc.Confirm},
		{order, before, commit, tcc.Cancel},
		{order, after, commit, tcc.Try},
		{order, before, commit, tcc.Confirm},
		{order, after, commit, tcc.Cancel},
		{account, before, begin, tcc.Try},
		{stock, after, begin, tcc.Try},
		{order, after, begin, tcc.Try},
		{account, after, begin, tcc.Confirm},
		{stock, before, begin, tcc.Confirm},
		{account, after, begin, tcc.Cancel},
	}
	onEachStore(t, func(t *testing.T, store dtmStore) { inShops(t, store, 1, cases, databaseCut.run) })
}

func (c databaseCut) run(t *testing.T, s *shop) {
	buyer := s.customer(t, rejectedElsewhere(c.service, c.phase))
	call := s.relays[c.service].hold(before, method(c.service, c.phase))
	placed := buyer.place(t)
	call.wait(t)
	cut := c.arm(s)
	call.release()
	cut.Wait()

	done := c.when == after && c.statement == commit
	require.Equal(t, stateAround(c.phase, done), s.dbs[c.service].state(t, call.gid))
	cut.Cut()

	placed.wait(t) // mostly the answer: the participant gets over it
	buyer.again(t)
	s.settled(t)
	buyer.done(t)
}

// arm sets the point at which the connection is held, to be cut.
func (c databaseCut) arm(s *shop) *testserver.Point {
	if c.when == before {
		return s.wires[c.service].HoldBefore(c.statement)
	}
	return s.wires[c.service].HoldAfter(c.statement)
}

// TestRequestRowCut cuts the order service's connection around the statement that stores a request.
func TestRequestRowCut(t *testing.T) {
	onBolt(t, func(t *testing.T, store dtmStore) {
		s := newShop(t, store.open(t))
		const insert = "INSERT INTO order_request"
		for _, when := range []moment{before, after} {
			t.Run(when.String(), func(t *testing.T) {
				buyer := s.customer(t, confirmed)
				arm := s.wires[order].HoldBefore
				if when == after {
					arm = s.wires[order].HoldAfter
				}
				cut := arm(insert)
				placed := buyer.place(t)
				cut.Wait()
				stored, err := s.dbs[order].number(bounded(t), "SELECT COUNT(*) FROM order_request WHERE account_id = ?", buyer.account)
				require.NoError(t, err)
				require.Equal(t, when == after, stored == 1)
				cut.Cut()

				placed.wait(t)
				buyer.again(t)
				s.settled(t)
				buyer.done(t)
			})
		}
	})
}
