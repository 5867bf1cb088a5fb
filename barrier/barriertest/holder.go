package barriertest

import (
	"context"
	"database/sql"
	"sync"

	"github.com/stretchr/testify/require"
)

// holder is a transaction from outside that holds an item's row locked. In a
// database without row locks it holds the only write lock.
type holder struct {
	w    *world
	conn *sql.Conn
	once sync.Once
}

// hold locks an item until release, at the latest until the test ends.
func (w *world) hold(it item) *holder {
	w.t.Helper()
	conn, err := w.db.Conn(w.ctx)
	require.NoError(w.t, err)
	h := &holder{w: w, conn: conn}
	w.t.Cleanup(h.release)
	if w.dialect == SQLite {
		h.exec("BEGIN IMMEDIATE")
		return h
	}
	h.exec("START TRANSACTION")
	h.exec("UPDATE "+it.kind.table+" SET available = available + 1 WHERE id = ?", it.id)
	h.exec("UPDATE "+it.kind.table+" SET available = available - 1 WHERE id = ?", it.id)
	return h
}

func (h *holder) exec(query string, args ...any) {
	h.w.t.Helper()
	_, err := h.conn.ExecContext(h.w.ctx, query, args...)
	require.NoError(h.w.t, err, query)
}

// release commits.
func (h *holder) release() {
	h.once.Do(func() {
		_, err := h.conn.ExecContext(context.WithoutCancel(h.w.ctx), "COMMIT")
		if err == nil {
			err = h.conn.Close()
		}
		if err != nil {
			h.w.t.Errorf("release a held row: %v", err)
		}
	})
}

// refill changes what is available of the held item, and releases it.
func (h *holder) refillAndRelease(it item, qty int64) {
	h.w.t.Helper()
	h.exec("UPDATE "+it.kind.table+" SET available = available + ? WHERE id = ?", qty, it.id)
	h.w.funds[it] += qty
	h.release()
}
