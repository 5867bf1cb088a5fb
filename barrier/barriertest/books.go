package barriertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// books are what the test knows of a database: what it put in, and which
// branches it has delivered. Gids begin with prefix, so that several books can
// be kept in one database.
type books struct {
	db     *sql.DB
	prefix string
	seq    *atomic.Int64

	mu       sync.Mutex
	branches []*branch
	funds    map[item]int64
}

func newBooks(db *sql.DB, prefix string, seq *atomic.Int64) *books {
	return &books{db: db, prefix: prefix, seq: seq, funds: make(map[item]int64)}
}

// next returns a number that was not used before.
func (bk *books) next() int64 { return bk.seq.Add(1) }

// newID returns an id that was not used before.
func (bk *books) newID() string { return fmt.Sprintf("%07d", bk.next()) }

// item makes a row of a business table with qty available.
func (bk *books) item(t tb, k kind, id string, qty int64) item {
	t.Helper()
	it := item{k, bk.prefix + id}
	_, err := bk.db.ExecContext(context.Background(), "INSERT INTO "+k.table+" (id, available, "+k.held+", "+k.gone+") VALUES (?, ?, 0, 0)", it.id, qty)
	require.NoError(t, err)
	bk.funds[it] = qty
	return it
}

// rows makes the rows of new items, and enters them into the books.
func (bk *books) rows(t tb, funds map[item]int64) {
	t.Helper()
	for _, k := range []kind{account, stock} {
		var values []string
		var args []any
		for it, qty := range funds {
			if it.kind == k {
				values, args = append(values, "(?, ?, 0, 0)"), append(args, it.id, qty)
			}
		}
		if len(values) > 0 {
			_, err := bk.db.ExecContext(context.Background(), "INSERT INTO "+k.table+" (id, available, "+k.held+", "+k.gone+") VALUES "+strings.Join(values, ", "), args...)
			require.NoError(t, err)
		}
	}
	maps.Copy(bk.funds, funds)
}

// refill adds to what is available.
func (bk *books) refill(t tb, it item, qty int64) {
	t.Helper()
	_, err := bk.db.ExecContext(context.Background(), "UPDATE "+it.kind.table+" SET available = available + ? WHERE id = ?", qty, it.id)
	require.NoError(t, err)
	bk.funds[it] += qty
}

// branch makes a branch and enters it into the books.
func (bk *books) branch(f form, lines ...line) *branch {
	return bk.enter(newBranch(bk, f, lines...))
}

// enter adds a branch to the books.
func (bk *books) enter(b *branch) *branch {
	bk.mu.Lock()
	defer bk.mu.Unlock()
	bk.branches = append(bk.branches, b)
	return b
}

type branchKey struct{ gid, id string }

// states reads the barrier's rows.
func (bk *books) states(t tb) map[branchKey]barrier.State {
	t.Helper()
	rows, err := bk.db.QueryContext(context.Background(), "SELECT gid, branch_id, state FROM sub_transaction_barrier WHERE gid >= ? AND gid < ?", bk.prefix, bk.prefix+"~")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	out := make(map[branchKey]barrier.State)
	for rows.Next() {
		var k branchKey
		var s barrier.State
		require.NoError(t, rows.Scan(&k.gid, &k.id, &s))
		if other, twice := out[k]; twice {
			require.FailNow(t, "two barrier rows for one branch", "%v is %s and %s", k, other, s)
		}
		out[k] = s
	}
	require.NoError(t, rows.Err())
	return out
}

// state reads one branch's row.
func (bk *books) state(t tb, b *branch) barrier.State {
	t.Helper()
	var s barrier.State
	err := bk.db.QueryRowContext(context.Background(), "SELECT state FROM sub_transaction_barrier WHERE gid = ? AND branch_id = ?", b.gid, b.id).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return barrier.None
	}
	require.NoError(t, err)
	return s
}

// ledger reads which phases took effect.
func (bk *books) ledger(t tb) map[branchKey][]string {
	t.Helper()
	rows, err := bk.db.QueryContext(context.Background(), "SELECT gid, branch_id, phase FROM ledger WHERE gid >= ? AND gid < ? ORDER BY gid, n", bk.prefix, bk.prefix+"~")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	out := make(map[branchKey][]string)
	for rows.Next() {
		var k branchKey
		var phase string
		require.NoError(t, rows.Scan(&k.gid, &k.id, &phase))
		out[k] = append(out[k], phase)
	}
	require.NoError(t, rows.Err())
	return out
}

// took are the phases whose business has taken effect when a row is in state s.
func took(s barrier.State) []string {
	switch s {
	case barrier.Tried:
		return []string{tcc.Try.String()}
	case barrier.Confirmed:
		return []string{tcc.Try.String(), tcc.Confirm.String()}
	case barrier.Cancelled:
		return []string{tcc.Try.String(), tcc.Cancel.String()}
	}
	return nil
}

// row is the state of an item.
type row struct{ available, held, gone int64 }

// verify compares the barrier's rows, the ledger and the business rows: each
// state's business has taken effect exactly once, and nothing else has.
func (bk *books) verify(t tb) {
	t.Helper()
	states, ledger := bk.states(t), bk.ledger(t)
	want := make(map[item]row)
	for it, qty := range bk.funds {
		want[it] = row{available: qty}
	}
	for _, b := range bk.branches {
		k := branchKey{b.gid, b.id}
		if b.swept != barrier.None {
			require.Equal(t, barrier.None, states[k], "the row of %s was to be deleted", b)
			states[k] = b.swept
		}
		if b.form != alone {
			phases := ledger[k]
			slices.Sort(phases)
			expected := took(states[k])
			slices.Sort(expected)
			require.Equal(t, expected, phases, "the phases that took effect for %s, which is %s", b, states[k])
		}
		for _, l := range b.lines {
			r := want[l.item]
			switch states[k] {
			case barrier.Tried:
				r.available, r.held = r.available-l.qty, r.held+l.qty
			case barrier.Confirmed:
				r.available, r.gone = r.available-l.qty, r.gone+l.qty
			}
			want[l.item] = r
		}
		delete(states, k)
		delete(ledger, k)
	}
	require.Empty(t, states, "barrier rows of branches that nobody delivered")
	require.Empty(t, ledger, "business of branches that nobody delivered")
	for it := range bk.funds {
		require.Equal(t, want[it], bk.row(t, it), "available, held and gone of %s", it)
	}
}

// row reads an item.
func (bk *books) row(t tb, it item) row {
	t.Helper()
	var r row
	err := bk.db.QueryRowContext(context.Background(), "SELECT available, "+it.kind.held+", "+it.kind.gone+" FROM "+it.kind.table+" WHERE id = ?", it.id).
		Scan(&r.available, &r.held, &r.gone)
	require.NoError(t, err)
	return r
}
