package barriertest

import (
	"context"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

func connections() []testCase {
	return []testCase{
		{name: "OnlyOne", forms: allForms, run: onlyOneConnection},
		{name: "KilledInWork", needs: rowLocks, forms: openForms, run: func(w *world) { killedInWork(w, "KILL ") }},
		{name: "QueryKilledInWork", needs: rowLocks, forms: openForms, run: func(w *world) { killedInWork(w, "KILL QUERY ") }},
		{name: "KilledWhileItWaits", needs: rowLocks, forms: allForms, run: func(w *world) { killedWhileItWaits(w, "KILL ") }},
		{name: "QueryKilledWhileItWaits", needs: rowLocks, forms: allForms, run: func(w *world) { killedWhileItWaits(w, "KILL QUERY ") }},
		{name: "KilledInThePool", needs: rowLocks, forms: mainForms, run: killedInThePool},
	}
}

// onlyOneConnection: no delivery needs a second connection to get on.
func onlyOneConnection(w *world) {
	w.Pool.SetMaxOpenConns(1)
	other := w.replica()
	other.Pool.SetMaxOpenConns(1)
	it := w.item(w.t, account, "a", 1000)
	for _, s := range allStates {
		for _, p := range allPhases {
			w.want(expected(s, p), w.deliver(w.reach(s), p))
		}
	}
	for _, p := range allPhases {
		b := w.ready(it, p)
		answers := w.everywhere(other, b, p)
		require.Equal(w.t, map[verdict]int{done: 1, duplicate: copies - 1}, tally(answers), failures(answers))
	}
	b := w.debit(it, 2000)
	answers := w.everywhere(other, b, tcc.Try)
	require.Equal(w.t, map[verdict]int{rejected: copies}, tally(answers), failures(answers))
}

// kill ends a connection or its statement from outside. That it has ended by
// itself is no failure.
func (w *world) kill(how string, id int64) error {
	_, err := w.db.ExecContext(w.ctx, fmt.Sprint(how, id))
	if err != nil && strings.Contains(err.Error(), "Unknown thread id") {
		return nil
	}
	return err
}

// killedInWork: the connection goes before, in the middle and at the end of
// what the work does; the work may take notice or not.
func killedInWork(w *world, how string) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		for _, careless := range []bool{false, true} {
			for _, last := range []bool{false, true} {
				b := w.ready(it, p)
				killed := false
				kill := func(ctx context.Context, tx barrier.Tx) error {
					if killed {
						return nil
					}
					killed = true
					var id int64
					if err := tx.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
						return err
					}
					if err := w.kill(how, id); err != nil {
						return err
					}
					if _, err := tx.ExecContext(ctx, write); err != nil && !careless {
						return err
					}
					_, err := tx.ExecContext(ctx, "DELETE FROM memo")
					if careless {
						return nil
					}
					return err
				}
				work := b.before(p, kill)
				if last {
					work = b.after(p, kill)
				}
				a := w.deliverWork(b, p, work)
				require.True(w.t, killed)
				if a.verdict() == unavailable {
					w.wantState(beforePhase(p), b)
					a = w.settle(b, p)
				}
				w.want(done, a)
				require.Empty(w.t, w.memos(), "what was written while the connection went is there without the branch")
			}
		}
	}
}

// killedWhileItWaits: the statement that waits for a row loses its connection.
func killedWhileItWaits(w *world, how string) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		b := w.ready(it, p)
		h := w.hold(it)
		c := begin(func() answer { return w.deliver(b, p) })
		w.awaitLockWaits(1)
		all, err := innodbTransactions(w.ctx, w.db)
		require.NoError(w.t, err)
		for _, tx := range all {
			if tx.waits {
				require.NoError(w.t, w.kill(how, tx.thread))
			}
		}
		h.release()
		a := c.wait(w.t)
		if a.verdict() == unavailable {
			w.wantState(beforePhase(p), b)
			a = w.settle(b, p)
		}
		w.want(done, a)
	}
}

// killedInThePool: a server that was restarted has closed every connection
// that the pool still counts on.
func killedInThePool(w *world) {
	it := w.item(w.t, account, "a", 1000)
	for _, p := range allPhases {
		b := w.ready(it, p)
		conn, err := w.db.Conn(w.ctx)
		require.NoError(w.t, err)
		var own int64
		require.NoError(w.t, conn.QueryRowContext(w.ctx, "SELECT CONNECTION_ID()").Scan(&own))
		ids, err := threads(w.ctx, w.db)
		require.NoError(w.t, err)
		delete(ids, own)
		require.NotEmpty(w.t, ids)
		for id := range ids {
			_, err := conn.ExecContext(w.ctx, fmt.Sprint("KILL ", id))
			require.NoError(w.t, err)
		}
		require.NoError(w.t, conn.Close())
		w.want(done, w.settle(b, p))
	}
}
