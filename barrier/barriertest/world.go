package barriertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// patience bounds every wait for something that has to happen. It is longer
// than any lock wait of a store.
const patience = 20 * time.Second

// deliveryBound is how long one delivery may take, whatever it waits for. No
// store needs that long, even on a machine that is busy with other tests.
const deliveryBound = time.Minute

// world is a database with one process of a participant on it, and what the
// test knows of them.
type world struct {
	*books
	Instance
	t        *testing.T
	ctx      context.Context
	dialect  Dialect
	database Database
	form     form
	// instances are all that were opened, Instance being the first.
	instances []Instance
}

// grounds are one case's database, on which it runs in several forms.
type grounds struct {
	dialect  Dialect
	database Database
	seq      atomic.Int64
	worlds   int
}

func ground(t *testing.T, h Harness) *grounds {
	t.Helper()
	noLeaks(t)
	return openGround(t, h)
}

// openGround is ground for tests that start what outlives them.
func openGround(t *testing.T, h Harness) *grounds {
	t.Helper()
	g := &grounds{dialect: h.Dialect, database: h.Open(t)}
	for _, query := range h.Dialect.schema() {
		_, err := g.database.DB.ExecContext(t.Context(), query)
		require.NoError(t, err, query)
	}
	return g
}

// world opens a first store, and books that begin anew.
func (g *grounds) world(t *testing.T, f form) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	g.worlds++
	bk := newBooks(g.database.DB, fmt.Sprintf("g%d", g.worlds), &g.seq)
	w := &world{books: bk, t: t, ctx: ctx, dialect: g.dialect, database: g.database, form: f}
	w.outside("DELETE FROM memo")
	w.Instance = w.replica()
	return w
}

// replica opens another process' store.
func (w *world) replica() Instance {
	w.t.Helper()
	in := w.database.Store(w.t)
	w.instances = append(w.instances, in)
	return in
}

// proxied opens a store behind a proxy.
func (w *world) proxied() (Instance, Proxy) {
	w.t.Helper()
	in, p := w.database.Proxied(w.t)
	w.instances = append(w.instances, in)
	return in, p
}

// debit makes a branch in the case's form that takes qty from the item.
func (w *world) debit(it item, qty int64) *branch { return w.branch(w.form, line{it, qty}) }

// deliver sends a branch's phase to the case's store.
func (w *world) deliver(b *branch, p tcc.Phase) answer { return b.deliver(w.ctx, w.Store, p) }

// deliverWork is deliver with another work function.
func (w *world) deliverWork(b *branch, p tcc.Phase, work barrier.Work) answer {
	return b.deliverWork(w.ctx, w.Store, p, work)
}

// settle delivers until the answer is another than unavailable, as a
// coordinator does.
func (w *world) settle(b *branch, p tcc.Phase) answer {
	w.t.Helper()
	a := w.deliver(b, p)
	for range 20 {
		if a.verdict() != unavailable {
			break
		}
		a = w.deliver(b, p)
	}
	return a
}

// want fails the case unless the answer is v.
func (w *world) want(v verdict, a answer) {
	w.t.Helper()
	wantVerdict(w.t, v, a)
}

// wantState fails the case unless the branch's row is in state s.
func (w *world) wantState(s barrier.State, b *branch) {
	w.t.Helper()
	require.Equal(w.t, s.String(), w.state(w.t, b).String(), "the state of %s", b)
}

// eventually waits until what holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			require.FailNow(w.t, "waited too long", "for %s", what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-w.ctx.Done():
		}
	}
}

// await waits for a channel that is closed when what holds.
func (w *world) await(what string, c <-chan struct{}) {
	w.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(w.t, "waited too long", "for %s", what)
	}
}

// awaitLockWaits waits until the database shows that n transactions wait for
// locks. A database with one writer cannot show that: there every process has
// somebody who is about to write.
func (w *world) awaitLockWaits(n int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%d transactions to wait for locks", n), func() bool {
		if !w.dialect.rowLocks() {
			return !slices.ContainsFunc(w.instances, func(in Instance) bool { return in.Pool.Stats().InUse == 0 })
		}
		_, waiting, err := w.dialect.transactions(w.ctx, w.db)
		require.NoError(w.t, err)
		return waiting >= n
	})
}

// quiet waits until the server has no transaction open.
func (w *world) quiet() {
	w.t.Helper()
	w.eventually("the server to have no open transaction", func() bool {
		open, _, err := w.dialect.transactions(w.ctx, w.db)
		require.NoError(w.t, err)
		return open == 0
	})
}

// finish is the end of each case: the books agree, nothing is left open, and
// every pooled connection is clean for its next user.
func (w *world) finish() {
	w.t.Helper()
	w.verify(w.t)
	for _, in := range w.instances {
		w.eventually("the store to give its connections back", func() bool { return in.Pool.Stats().InUse == 0 })
	}
	w.quiet()
	for _, in := range w.instances {
		w.nextUser(in)
	}
	w.verify(w.t)
}

// nextUser takes every idle connection of a pool and writes one row through
// each, which must be seen from outside while the connections are still out.
func (w *world) nextUser(in Instance) {
	w.t.Helper()
	var ids []any
	for range max(in.Pool.Stats().Idle, 1) {
		conn, id, err := w.probe(in)
		require.NoError(w.t, err)
		defer func() { _ = conn.Close() }()
		ids = append(ids, id)
	}
	for _, id := range ids {
		var n int
		require.NoError(w.t, w.db.QueryRowContext(w.ctx, "SELECT COUNT(*) FROM pool_probe WHERE id = ?", id).Scan(&n))
		require.Equal(w.t, 1, n, "what the pool's next user wrote is not committed: its connection was left in a transaction")
	}
}

// probe writes a row through one more connection of a pool. Connections that
// were cut while they were idle are passed over, as database/sql does.
func (w *world) probe(in Instance) (*sql.Conn, int64, error) {
	for {
		conn, err := in.Pool.Conn(w.ctx)
		if err != nil {
			return nil, 0, err
		}
		id := w.next()
		_, err = conn.ExecContext(w.ctx, "INSERT INTO pool_probe (id) VALUES (?)", id)
		if err == nil {
			return conn, id, nil
		}
		_ = conn.Close()
		if !errors.Is(err, driver.ErrBadConn) {
			return nil, 0, err
		}
	}
}

// rounds is how often a race runs: n times, fewer with -short.
func rounds(n, short int) int {
	if testing.Short() {
		return short
	}
	return n
}
