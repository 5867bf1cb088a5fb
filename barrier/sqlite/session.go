package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

const (
	insertRow       = "INSERT INTO sub_transaction_barrier (gid, branch_id, state, updated_at, method, request, response) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
	updateConfirmed = "UPDATE sub_transaction_barrier SET state = 2, updated_at = ?, method = NULL, request = NULL WHERE gid = ? AND branch_id = ? AND state = 1"
	updateCancelled = "UPDATE sub_transaction_barrier SET state = 3, updated_at = ?, method = NULL, request = NULL, response = NULL WHERE gid = ? AND branch_id = ? AND state = 1"
	updateRejected  = "UPDATE sub_transaction_barrier SET state = 5, updated_at = ?, method = NULL, request = NULL, response = NULL, reason = ? WHERE gid = ? AND branch_id = ?"
	updateResponse  = "UPDATE sub_transaction_barrier SET response = ? WHERE gid = ? AND branch_id = ?"
)

// session is one delivery's transaction. BEGIN IMMEDIATE makes it the only
// writer, so that its statements need not fear each other's order.
type session struct {
	store *Store
	call  barrier.Call
	lease *sqlbranch.Lease
	open  bool
}

// Session implements sqlbranch.Backend. The barrier's answer costs no round
// trip, so every delivery is stepwise.
func (s *Store) Session(call barrier.Call, _ bool) sqlbranch.Session {
	return &session{store: s, call: call}
}

// Lease implements sqlbranch.Session.
func (s *session) Lease() *sqlbranch.Lease { return s.lease }

// Syntax implements sqlbranch.Session.
func (s *session) Syntax() sqlbranch.Syntax { return sqlbranch.SQLite }

// Alive implements sqlbranch.Session.
func (s *session) Alive(err error) bool { return alive(err) }

// Enter implements sqlbranch.Session.
func (s *session) Enter(ctx context.Context, response []byte, stmts []barrier.Stmt) (sqlbranch.Entry, []int64, error) {
	// Waiting here is fair and ends with ctx; SQLite's own wait is neither.
	select {
	case s.store.writer <- struct{}{}:
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	lease, err := sqlbranch.Acquire(ctx, s.store.db)
	if err != nil {
		<-s.store.writer
		return 0, nil, err
	}
	s.lease = lease
	if _, err := lease.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return 0, nil, err
	}
	s.open = true
	entry, err := s.row(ctx, response)
	if err != nil || entry == sqlbranch.Elsewhere {
		return entry, nil, err
	}
	if entry == sqlbranch.Remembered {
		end, cancel := sqlbranch.EndContext(ctx)
		defer cancel()
		if err := s.Commit(end, nil); err != nil {
			return 0, nil, &sqlbranch.UnknownError{Cause: err}
		}
		return entry, nil, nil
	}
	if _, err := lease.Exec(ctx, "SAVEPOINT tcc"); err != nil {
		return 0, nil, err
	}
	counts, err := s.Run(ctx, stmts)
	return entry, counts, err
}

// EnterWith implements sqlbranch.Session: see [Store.Session].
func (s *session) EnterWith(context.Context, barrier.Stmt) (sqlbranch.Entry, sql.Result, bool, error) {
	return 0, nil, false, nil
}

// row brings the barrier row into the phase's state.
func (s *session) row(ctx context.Context, response []byte) (sqlbranch.Entry, error) {
	b := s.call.Branch
	now := time.Now().UnixMilli()
	changed := func(query string, args ...any) (bool, error) {
		n, err := s.exec(ctx, query, args...)
		return n == 1, err
	}
	var ok bool
	var err error
	switch b.Phase {
	case tcc.Confirm:
		ok, err = changed(updateConfirmed, now, b.GID, b.ID)
	case tcc.Cancel:
		if ok, err = changed(updateCancelled, now, b.GID, b.ID); !ok && err == nil {
			if ok, err = changed(insertRow, b.GID, b.ID, int64(barrier.EmptyCancelled), now, nil, nil, nil); ok {
				return sqlbranch.Remembered, nil
			}
		}
	default:
		ok, err = changed(insertRow, b.GID, b.ID, int64(barrier.Tried), now, b.Method, s.call.Request, orNull(response))
	}
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return sqlbranch.Elsewhere, nil
	}
	return sqlbranch.Entered, nil
}

// Run implements sqlbranch.Session.
func (s *session) Run(ctx context.Context, stmts []barrier.Stmt) ([]int64, error) {
	return sqlbranch.OneByOne(stmts, func(st barrier.Stmt) (int64, error) { return s.exec(ctx, st.Query, st.Args...) })
}

// Undo implements sqlbranch.Session.
func (s *session) Undo(ctx context.Context) error {
	_, err := s.lease.Exec(ctx, "ROLLBACK TO SAVEPOINT tcc")
	return err
}

// Reject implements sqlbranch.Session.
func (s *session) Reject(ctx context.Context, r *tcc.Rejection) error {
	reason, err := sqlbranch.EncodeRejection(r)
	if err != nil {
		return err
	}
	if err := s.Undo(ctx); err != nil {
		return err
	}
	b := s.call.Branch
	n, err := s.exec(ctx, updateRejected, time.Now().UnixMilli(), string(reason), b.GID, b.ID)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("barrier/sqlite: the rejection of %s marked %d rows", b, n)
	}
	return s.Commit(ctx, nil)
}

// Commit implements sqlbranch.Session.
func (s *session) Commit(ctx context.Context, response []byte) error {
	if len(response) > 0 {
		b := s.call.Branch
		if _, err := s.exec(ctx, updateResponse, response, b.GID, b.ID); err != nil {
			return err
		}
	}
	if _, err := s.lease.Exec(ctx, "COMMIT"); err != nil {
		return err
	}
	s.open = false
	return nil
}

// Close implements sqlbranch.Session.
func (s *session) Close() {
	if s.lease == nil {
		return
	}
	clean := true
	if s.open {
		ctx, cancel := sqlbranch.EndContext(context.Background())
		defer cancel()
		// After an error for which SQLite has rolled back already this fails
		// too, and the connection is not used again.
		_, err := s.lease.Exec(ctx, "ROLLBACK")
		clean = err == nil
	}
	s.lease.GiveBack(clean)
	s.lease = nil
	<-s.store.writer
}

func (s *session) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := s.lease.Exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// orNull stores nothing rather than an empty string.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
