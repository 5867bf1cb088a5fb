package mysql

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

// readStates gives the shares whose rows answer them already, or make them
// special, their verdict, and leaves the others in r.shares.
func (r *round) readStates(ctx context.Context) error {
	var keys []branchKey
	for _, sh := range r.shares {
		if r.looksAt(sh) {
			keys = append(keys, keyOf(sh.Call.Branch))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	states, err := readStates(ctx, r.store.groupDB, keys)
	if err != nil {
		return err
	}
	if !r.look {
		r.store.group.wary.Add(-1)
	}
	var stay []*share
	for _, sh := range r.shares {
		if !r.looksAt(sh) {
			stay = append(stay, sh)
			continue
		}
		b := sh.Call.Branch
		state := states[keyOf(b)]
		if b.Phase == tcc.Cancel && state != barrier.Tried {
			r.store.group.beWary()
		}
		switch action, _ := barrier.Decide(state, b.Phase); {
		case action == barrier.Run:
			stay = append(stay, sh)
		case action == barrier.Remember:
			r.finish(sqlbranch.Verdict{Fate: sqlbranch.Alone}, sh)
		case b.Phase == tcc.Cancel:
			r.finish(sqlbranch.Verdict{Fate: sqlbranch.Settled, State: state}, sh)
		default:
			r.finish(sqlbranch.Verdict{Fate: sqlbranch.Taken}, sh)
		}
	}
	r.shares = stay
	return nil
}

func (r *round) looksAt(sh *share) bool {
	return r.look || r.lookAtCancels && sh.Call.Branch.Phase == tcc.Cancel
}

// readStates reads rows without locking them.
func readStates(ctx context.Context, db *sql.DB, keys []branchKey) (map[branchKey]barrier.State, error) {
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k.gid, k.id)
	}
	rows, err := db.QueryContext(ctx, selectStates+anyOf(len(keys)), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	states := make(map[branchKey]barrier.State, len(keys))
	for rows.Next() {
		var k branchKey
		var state barrier.State
		if err := rows.Scan(&k.gid, &k.id, &state); err != nil {
			return nil, err
		}
		states[k] = state
	}
	return states, rows.Err()
}

// awaitRollback waits until the server has noticed that a connection is gone
// with its transaction open, for who met the rows of that would wait in vain.
func (r *round) awaitRollback(ctx context.Context) {
	trys := slices.DeleteFunc(slices.Clone(r.shares), func(sh *share) bool { return sh.Call.Branch.Phase != tcc.Try })
	if len(trys) == 0 {
		return
	}
	// What was inserted first is undone last.
	first := slices.MinFunc(trys, func(a, b *share) int { return a.compare(b) })
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		settled, err := r.store.rowIsSettled(ctx, first.Call.Branch)
		if err != nil || settled {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// rowIsSettled reports whether a row is committed, or not even written.
func (s *Store) rowIsSettled(ctx context.Context, b tcc.Branch) (bool, error) {
	written, err := s.rowIsThere(ctx, b, sql.LevelReadUncommitted)
	if err != nil || !written {
		return true, err
	}
	return s.rowIsThere(ctx, b, sql.LevelReadCommitted)
}

func (s *Store) rowIsThere(ctx context.Context, b tcc.Branch, level sql.IsolationLevel) (there bool, err error) {
	tx, err := s.groupDB.BeginTx(ctx, &sql.TxOptions{Isolation: level})
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM sub_transaction_barrier WHERE gid = ? AND branch_id = ?", b.GID, b.ID).Scan(&there)
	return there, err
}
