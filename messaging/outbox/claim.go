package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// maxBatchBytes bounds what a batch holds in memory.
const maxBatchBytes = 16 << 20

// batch is what was claimed together, and what becomes of it.
type batch struct {
	queue
	token string // a number
	// deadline is when Publish must have returned, lease when the messages are
	// anybody's again. They count from before the claim.
	deadline, lease time.Time
	// items are in the order in which they were written.
	items []*item
	// found counts what was due, blocked or not.
	found int
}

// item is a message in a relay's hands.
type item struct {
	seq   int64
	size  int64
	tries int   // this one included
	lane  int64 // 0 for a message that is not ordered
	// id and the following are read after the claim.
	id       string
	metadata map[string]string
	payload  []byte

	fate fate
}

// claim makes messages this worker's for the time of the lease.
func (w *worker) claim(ctx context.Context, q queue) (*batch, error) {
	now := time.Now()
	b := &batch{queue: q, token: newToken(), lease: now.Add(w.cfg.Lease), deadline: now.Add(w.cfg.Lease * 3 / 4)}
	bounded, cancel := context.WithDeadline(ctx, b.deadline)
	defer cancel()
	err := w.outbox.transact(bounded, func(tx *sql.Tx) error {
		items, err := w.lock(bounded, tx, q)
		if err != nil {
			return err
		}
		b.found = len(items)
		if b.items, err = w.outbox.unblocked(bounded, tx, items); err != nil || len(b.items) == 0 {
			return err
		}
		_, err = tx.ExecContext(bounded, "UPDATE outbox"+w.outbox.sql.by("PRIMARY")+" SET claimed_by = "+b.token+", tries = tries + 1, claimed_until = "+w.outbox.sql.in(w.cfg.Lease)+
			" WHERE seq IN "+list(seqs(b.items)))
		return err
	})
	if err == nil && len(b.items) > 0 {
		// Also if ctx has ended meanwhile: what is claimed is given back.
		limit, cancel := context.WithDeadline(context.WithoutCancel(ctx), b.deadline)
		defer cancel()
		err = w.read(limit, b)
	}
	if err != nil {
		return nil, fmt.Errorf("claim messages of the topic %s: %w", q.topic, err)
	}
	return b, nil
}

// newToken names a claim, so that none is taken for one of another time.
func newToken() string { return strconv.FormatInt(rand.Int64N(math.MaxInt64)+1, 10) }

// lock finds what is due, passing over what another relay has in hand.
func (w *worker) lock(ctx context.Context, tx *sql.Tx, q queue) ([]*item, error) {
	s := w.outbox.sql
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT seq, size, tries + 1, lane FROM outbox%[1]s"+
		" WHERE state = '%[2]s' AND topic = ? AND due_at > 0 AND due_at <= %[3]s AND claimed_until <= %[3]s ORDER BY due_at, seq LIMIT %[4]d%[5]s",
		s.by("outbox_due"), q.state, s.Now(), w.cfg.Batch, s.SkipLocked()), q.topic)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var items []*item
	var bytes int64
	for rows.Next() {
		it := &item{}
		if err := rows.Scan(&it.seq, &it.size, &it.tries, &it.lane); err != nil {
			return nil, err
		}
		if bytes += it.size; bytes <= maxBatchBytes || len(items) == 0 {
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b *item) int { return int(a.seq - b.seq) })
	return items, rows.Err()
}

// read reads what was claimed. What is not this claim's any more it leaves out:
// a result has come for it meanwhile.
func (w *worker) read(ctx context.Context, b *batch) error {
	rows, err := w.outbox.cfg.DB.QueryContext(ctx, "SELECT seq, id, metadata, payload FROM outbox WHERE seq IN "+list(seqs(b.items))+" AND claimed_by = "+b.token)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	of := make(map[int64]*item, len(b.items))
	for _, it := range b.items {
		of[it.seq] = it
	}
	var header []byte
	for rows.Next() {
		var seq int64
		var id string
		var payload []byte
		if err := rows.Scan(&seq, &id, &header, &payload); err != nil {
			return err
		}
		it := of[seq]
		it.id, it.payload = id, payload
		if err := json.Unmarshal(header, &it.metadata); err != nil {
			it.fate = fate{kind: gaveUp, why: "its metadata is no JSON object of strings: " + err.Error()}
		}
	}
	b.items = slices.DeleteFunc(b.items, func(it *item) bool { return it.id == "" })
	return rows.Err()
}

func seqs(items []*item) []int64 {
	out := make([]int64, len(items))
	for i, it := range items {
		out[i] = it.seq
	}
	return out
}
