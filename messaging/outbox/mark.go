package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

// kind is what becomes of a message in a relay's hands.
type kind uint8

const (
	untouched kind = iota // nobody came to it: it is given back, and not a try richer
	sent                  // the broker has it
	again                 // later
	gaveUp                // Failed
	behind                // parked: one before it in its lane was not sent
)

// fate is what becomes of a message. Those of one fate are marked together.
type fate struct {
	kind kind
	in   time.Duration // when it is due, if it is due again
	why  string
}

func decide(items []*item, f fate) {
	for _, it := range items {
		it.fate = f
	}
}

// maxResultTimeout is how long a result is waited for at most before a message
// is sent again, unless RelayConfig.ResultTimeout is longer.
const maxResultTimeout = time.Hour

// mark notes what became of a batch. It tries until the lease ends: if it is
// not noted, the messages will be published again.
func (w *worker) mark(ctx context.Context, b *batch) error {
	groups, lanes := w.groups(b)
	limit, cancel := context.WithDeadline(context.WithoutCancel(ctx), b.lease)
	defer cancel()
	var failed failures
	for {
		err := w.note(limit, b, groups, lanes)
		if err == nil {
			break
		}
		w.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "outbox: cannot note what was published", slog.String("topic", b.topic), slog.Int("messages", len(b.items)), slog.Any("error", err))
		rest(limit, failed.next())
		if limit.Err() != nil {
			return fmt.Errorf("note what was published to the topic %s, it will be published again: %w", b.topic, err)
		}
	}
	for f, items := range groups {
		if f.kind == gaveUp {
			w.outbox.telemetry.failed.Add(ctx, int64(len(items)), w.outbox.telemetry.with, ofTopic(b.topic))
		}
	}
	return nil
}

// groups puts messages of one fate together, and names the lanes of those that
// are ordered.
func (w *worker) groups(b *batch) (groups map[fate][]int64, lanes []int64) {
	groups = make(map[fate][]int64)
	stopped := make(map[int64]bool)
	of := make(map[int64]bool)
	for _, it := range b.items {
		f := it.fate
		switch f.kind {
		case sent:
			f.in = w.resultTimeout(b.state, it.tries)
		case again, gaveUp:
			f.why = cut(f.why, maxReason)
			stopped[it.lane] = true
		case untouched, behind:
			if stopped[it.lane] && it.lane != 0 {
				f.kind = behind
			}
		}
		of[it.lane] = true
		groups[f] = append(groups[f], it.seq)
	}
	delete(of, 0)
	return groups, slices.Sorted(maps.Keys(of))
}

// resultTimeout is how long to wait for the result of a message.
func (w *worker) resultTimeout(before State, tries int) time.Duration {
	d := w.cfg.ResultTimeout
	if before == StateNew {
		return d
	}
	for ; tries > 1 && d < maxResultTimeout; tries-- {
		d *= 2
	}
	return max(min(d, maxResultTimeout), w.cfg.ResultTimeout)
}

// note writes it down, in a transaction if it takes more than a statement.
func (w *worker) note(ctx context.Context, b *batch, groups map[fate][]int64, lanes []int64) error {
	if len(groups) == 1 && len(lanes) == 0 {
		for f, seqs := range groups {
			return w.noteGroup(ctx, w.outbox.cfg.DB, b, f, seqs)
		}
	}
	return w.outbox.transact(ctx, func(tx *sql.Tx) error {
		for f, seqs := range groups {
			if err := w.noteGroup(ctx, tx, b, f, seqs); err != nil {
				return err
			}
		}
		if len(lanes) == 0 {
			return nil
		}
		return w.outbox.wakeLanes(ctx, tx, lanes, w.cfg.Batch)
	})
}

// noteGroup marks messages of one fate, as far as they are still this claim's.
func (w *worker) noteGroup(ctx context.Context, db messaging.Tx, b *batch, f fate, seqs []int64) error {
	s := w.outbox.sql
	var set string
	var args []any
	switch f.kind {
	case sent:
		// MySQL assigns from left to right, so state comes last.
		set = "tries = CASE WHEN state = 'NEW' THEN 1 ELSE tries END, sent_at = " + s.Now() + ", lane = 0, last_error = NULL, due_at = CASE WHEN expects_result = 1 THEN " + s.in(f.in) + " ELSE 0 END, state = 'SENT'"
	case again:
		set, args = "due_at = "+s.in(f.in)+", last_error = ?", []any{f.why}
	case gaveUp:
		set, args = "state = 'FAILED', due_at = 0, last_error = ?", []any{f.why}
	case behind:
		set = "tries = tries - 1, due_at = 0"
	case untouched:
		set = "tries = tries - 1"
	}
	_, err := db.ExecContext(ctx, "UPDATE outbox"+s.by("PRIMARY")+" SET claimed_by = 0, claimed_until = 0, "+set+" WHERE seq IN "+list(seqs)+" AND claimed_by = "+b.token, args...)
	return err
}
