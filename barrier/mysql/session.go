package mysql

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

// The barrier's statements.
//
// Cancel's counts are 1 for a row that was not there (empty cancel), 2 for one
// that was TRIED, and 0 for one in any other state. MySQL assigns from left to
// right, so state, which the others look at, comes last.
//
// Messages travel in hexadecimal digits: while a statement with bytes that are
// no UTF-8 runs, MySQL's information_schema.processlist fails for everybody.
const (
	insertTried = "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at, method, request, response) VALUES " + triedRow
	triedRow    = "(?, ?, 1, UTC_TIMESTAMP(3), ?, UNHEX(?), UNHEX(?))"

	updateConfirmed = "UPDATE sub_transaction_barrier SET state = 2, updated_at = UTC_TIMESTAMP(3), method = NULL, request = NULL WHERE gid = ? AND branch_id = ? AND state = 1"

	upsertCancelled = "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at) VALUES (?, ?, 4, UTC_TIMESTAMP(3))" +
		" ON DUPLICATE KEY UPDATE updated_at = IF(state = 1, UTC_TIMESTAMP(3), updated_at)," +
		" method = IF(state = 1, NULL, method), request = IF(state = 1, NULL, request), response = IF(state = 1, NULL, response)," +
		" state = IF(state = 1, 3, state)"

	// The multi-row ones end with anyOf. On a small table the optimizer would
	// rather scan, and wait for rows that are none of theirs.
	updateAllConfirmed = "UPDATE sub_transaction_barrier FORCE INDEX (PRIMARY) SET state = 2, updated_at = UTC_TIMESTAMP(3), method = NULL, request = NULL WHERE state = 1 AND "
	updateAllCancelled = "UPDATE sub_transaction_barrier FORCE INDEX (PRIMARY) SET state = 3, updated_at = UTC_TIMESTAMP(3), method = NULL, request = NULL, response = NULL WHERE state = 1 AND "
	selectStates       = "SELECT gid, branch_id, state FROM sub_transaction_barrier WHERE "

	updateRejected = "UPDATE sub_transaction_barrier SET state = 5, updated_at = UTC_TIMESTAMP(3), method = NULL, request = NULL, response = NULL, reason = ? WHERE gid = ? AND branch_id = ?"

	updateResponse = "UPDATE sub_transaction_barrier SET response = UNHEX(?) WHERE gid = ? AND branch_id = ?"
)

// session is one delivery's transaction.
type session struct {
	store    *Store
	call     barrier.Call
	stepwise bool
	lease    *sqlbranch.Lease
	// open says that a transaction may be open on the connection.
	open bool
}

// Session implements sqlbranch.Backend.
func (s *Store) Session(call barrier.Call, stepwise bool) sqlbranch.Session {
	return &session{store: s, call: call, stepwise: stepwise}
}

// Lease implements sqlbranch.Session.
func (s *session) Lease() *sqlbranch.Lease { return s.lease }

// Syntax implements sqlbranch.Session.
func (s *session) Syntax() sqlbranch.Syntax { return sqlbranch.MySQL }

// Alive implements sqlbranch.Session.
func (s *session) Alive(err error) bool { return alive(err) }

// Enter implements sqlbranch.Session.
func (s *session) Enter(ctx context.Context, response []byte, stmts []barrier.Stmt) (sqlbranch.Entry, []int64, error) {
	if !s.stepwise {
		entry, did, err := s.enter(ctx, response, stmts)
		return entry, did.rows, err
	}
	entry, _, err := s.enter(ctx, response, nil)
	if entry != sqlbranch.Entered || err != nil {
		return entry, nil, err
	}
	counts, err := s.Run(ctx, stmts)
	return entry, counts, err
}

// EnterWith implements sqlbranch.Session.
func (s *session) EnterWith(ctx context.Context, stmt barrier.Stmt) (sqlbranch.Entry, sql.Result, bool, error) {
	if s.stepwise || !s.store.facts.multi {
		return 0, nil, false, nil
	}
	entry, did, err := s.enter(ctx, nil, []barrier.Stmt{stmt})
	return entry, did, true, err
}

// enter begins with stmts in the same round trip, and returns what they did.
func (s *session) enter(ctx context.Context, response []byte, stmts []barrier.Stmt) (sqlbranch.Entry, effects, error) {
	lease, err := sqlbranch.Acquire(ctx, s.store.db)
	if err != nil {
		return 0, effects{}, err
	}
	s.lease, s.open = lease, true
	steps := s.begin()
	row := len(steps)
	steps = append(steps, s.row(response))
	if s.call.Branch.Phase != tcc.Confirm {
		steps = append(steps, step{query: savepoint})
	}
	business := len(steps)
	did, err := trip(ctx, s.lease, s.store.facts.multi, appendStmts(steps, stmts))
	s.store.waited(sqlbranch.Share{Call: s.call, Stmts: stmts}, err)
	if err != nil {
		return 0, effects{}, err
	}
	entry, err := s.entry(ctx, did.rows[row])
	did.rows = did.rows[business:]
	return entry, did, err
}

// begin returns the steps that begin a transaction. Connections that the
// store made have their isolation set already.
func (s *session) begin() []step {
	if s.store.owned {
		return []step{{query: start}}
	}
	return []step{{query: "SET TRANSACTION ISOLATION LEVEL " + s.store.opts.isolation()}, {query: start}}
}

// row returns the statement that brings the barrier row into the phase's
// state.
func (s *session) row(response []byte) step {
	b := s.call.Branch
	switch b.Phase {
	case tcc.Confirm:
		return step{updateConfirmed, []any{b.GID, b.ID}}
	case tcc.Cancel:
		return step{upsertCancelled, []any{b.GID, b.ID}}
	default:
		return step{insertTried, []any{b.GID, b.ID, b.Method, digits(s.call.Request), digits(response)}}
	}
}

// entry reads what the barrier's statement did off the rows that it affected.
func (s *session) entry(ctx context.Context, affected int64) (sqlbranch.Entry, error) {
	cancel := s.call.Branch.Phase == tcc.Cancel
	switch {
	case affected == 0:
		return sqlbranch.Elsewhere, nil
	case cancel && affected == 1:
		// The business of an empty cancel is undone; the row stays.
		end, done := sqlbranch.EndContext(ctx)
		defer done()
		if _, err := s.trip(end, []step{{query: undo}, {query: commit}}); err != nil {
			return 0, &sqlbranch.UnknownError{Cause: err}
		}
		s.open = false
		return sqlbranch.Remembered, nil
	case cancel && affected == 2, !cancel && affected == 1:
		return sqlbranch.Entered, nil
	}
	return 0, fmt.Errorf("barrier/mysql: the barrier row of %s counted %d rows", s.call.Branch, affected)
}

// Run implements sqlbranch.Session.
func (s *session) Run(ctx context.Context, stmts []barrier.Stmt) ([]int64, error) {
	if len(stmts) == 0 {
		return nil, nil
	}
	if !s.stepwise {
		return s.trip(ctx, appendStmts(nil, stmts))
	}
	return sqlbranch.OneByOne(stmts, func(st barrier.Stmt) (int64, error) {
		counts, err := s.trip(ctx, []step{{st.Query, st.Args}})
		if err != nil {
			return 0, err
		}
		return counts[0], nil
	})
}

// Undo implements sqlbranch.Session.
func (s *session) Undo(ctx context.Context) error {
	_, err := s.trip(ctx, []step{{query: undo}})
	return err
}

// Reject implements sqlbranch.Session.
func (s *session) Reject(ctx context.Context, r *tcc.Rejection) error {
	reason, err := sqlbranch.EncodeRejection(r)
	if err != nil {
		return err
	}
	b := s.call.Branch
	counts, err := s.trip(ctx, []step{{query: undo}, {updateRejected, []any{reason, b.GID, b.ID}}, {query: commit}})
	if err != nil {
		return err
	}
	s.open = false
	if s.store.group != nil {
		s.store.group.beWary()
	}
	if counts[1] != 1 {
		return fmt.Errorf("barrier/mysql: the rejection of %s marked %d rows", b, counts[1])
	}
	return nil
}

// Commit implements sqlbranch.Session.
func (s *session) Commit(ctx context.Context, response []byte) error {
	steps := []step{{query: commit}}
	if len(response) > 0 {
		b := s.call.Branch
		steps = []step{{updateResponse, []any{digits(response), b.GID, b.ID}}, {query: commit}}
	}
	if _, err := s.trip(ctx, steps); err != nil {
		return err
	}
	s.open = false
	return nil
}

// Close implements sqlbranch.Session. A connection goes back to the pool only
// after an acknowledged COMMIT or ROLLBACK: an open transaction would swallow
// the statements of its next user.
func (s *session) Close() {
	if s.lease == nil {
		return
	}
	clean := !s.open
	if s.open {
		ctx, cancel := sqlbranch.EndContext(context.Background())
		defer cancel()
		_, err := s.lease.Exec(ctx, rollback)
		clean = err == nil
	}
	s.lease.GiveBack(clean)
	s.lease = nil
}

// trip runs steps in as few round trips as the connection allows.
func (s *session) trip(ctx context.Context, steps []step) ([]int64, error) {
	did, err := trip(ctx, s.lease, s.store.facts.multi, steps)
	return did.rows, err
}
