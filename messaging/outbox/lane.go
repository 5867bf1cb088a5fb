package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Order. A lane is a topic and a key. While an ordered message is not sent, its
// column lane names it; of a lane only the unbroken run of the earliest ones may
// be published, by whoever has claimed all of it.
//
// Those behind it are parked, that is, not due at all, so that no relay looks at
// them again and again. Whoever takes the first ones out of a lane wakes the
// next. That none is left asleep rests on one rule: the first of a lane is never
// parked. Parking therefore needs a lock on a row before it that is in the lane:
// who wants to take that one out waits, and sees the parked ones afterwards.

// lanePause is how long those wait whose predecessor is in another relay's
// hands at this very moment.
const lanePause = 50 * time.Millisecond

// unblocked returns those of the locked items that may be published, and moves
// the others out of the way.
func (o *Outbox) unblocked(ctx context.Context, tx *sql.Tx, items []*item) ([]*item, error) {
	mine := make(map[string][]*item)
	for _, it := range items {
		if it.lane != "" {
			mine[it.lane] = append(mine[it.lane], it)
		}
	}
	if len(mine) == 0 {
		return items, nil
	}
	firsts, err := o.firsts(ctx, tx, slices.Sorted(maps.Keys(mine)), func(lane string) int { return len(mine[lane]) })
	if err != nil {
		return nil, err
	}
	before := make(map[int64]int64) // the blocker of each blocked one
	var blockers []int64
	for lane, own := range mine {
		run := 0
		for run < len(own) && run < len(firsts[lane]) && own[run].seq == firsts[lane][run].seq {
			run++
		}
		if run == len(own) {
			continue
		}
		if run == len(firsts[lane]) {
			return nil, fmt.Errorf("message %d is locked and not in its lane", own[run].seq)
		}
		blocker := firsts[lane][run].seq
		blockers = append(blockers, blocker)
		for _, it := range own[run:] {
			before[it.seq] = blocker
		}
	}
	if len(before) == 0 {
		return items, nil
	}
	if err := o.park(ctx, tx, before, blockers); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(items, func(it *item) bool { return before[it.seq] != 0 }), nil
}

// park takes what is blocked out of the way: for good, if its blocker can be
// locked, otherwise for a moment.
func (o *Outbox) park(ctx context.Context, tx *sql.Tx, before map[int64]int64, blockers []int64) error {
	locked, err := numbers(tx.QueryContext(ctx, "SELECT seq FROM outbox"+o.sql.by("PRIMARY")+" WHERE seq IN "+list(blockers)+" AND lane IS NOT NULL ORDER BY seq"+o.sql.SkipLocked()))
	if err != nil {
		return err
	}
	var parked, later []int64
	for seq, blocker := range before {
		if slices.Contains(locked, blocker) {
			parked = append(parked, seq)
		} else {
			later = append(later, seq)
		}
	}
	if err := o.setDue(ctx, tx, parked, "NULL"); err != nil {
		return err
	}
	return o.setDue(ctx, tx, later, o.sql.in(lanePause))
}

func (o *Outbox) setDue(ctx context.Context, tx *sql.Tx, seqs []int64, due string) error {
	if len(seqs) == 0 {
		return nil
	}
	slices.Sort(seqs)
	_, err := tx.ExecContext(ctx, "UPDATE outbox"+o.sql.by("PRIMARY")+" SET due_at = "+due+" WHERE seq IN "+list(seqs))
	return err
}

// first is one of the first messages in a lane.
type first struct {
	seq    int64
	parked bool
}

// firsts returns the first messages of each lane, in order, as many as asked
// for. It does not lock them.
func (o *Outbox) firsts(ctx context.Context, tx *sql.Tx, lanes []string, most func(lane string) int) (map[string][]first, error) {
	selects := make([]string, len(lanes))
	for i, lane := range lanes {
		selects[i] = fmt.Sprintf("SELECT lane, seq, CASE WHEN state = 'NEW' AND due_at IS NULL THEN 1 ELSE 0 END AS parked FROM outbox%s WHERE lane = '%s' ORDER BY seq LIMIT %d",
			o.sql.by("outbox_lane"), lane, most(lane))
	}
	out := make(map[string][]first, len(lanes))
	for chunk := range slices.Chunk(selects, lanesPerSelect) {
		rows, err := tx.QueryContext(ctx, o.sql.all(chunk))
		if err != nil {
			return nil, err
		}
		if err := scanFirsts(rows, out); err != nil {
			return nil, err
		}
	}
	for _, f := range out {
		slices.SortFunc(f, func(a, b first) int { return int(a.seq - b.seq) })
	}
	return out, nil
}

// lanesPerSelect bounds a statement; SQLite joins at most 500 selects.
const lanesPerSelect = 256

func scanFirsts(rows *sql.Rows, into map[string][]first) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var lane string
		var f first
		if err := rows.Scan(&lane, &f.seq, &f.parked); err != nil {
			return err
		}
		into[lane] = append(into[lane], f)
	}
	return rows.Err()
}

// wakeLanes makes the first of each lane due, and those behind it, as far as
// they are parked.
func (o *Outbox) wakeLanes(ctx context.Context, tx *sql.Tx, lanes []string, most int) error {
	firsts, err := o.firsts(ctx, tx, lanes, func(string) int { return most })
	if err != nil {
		return err
	}
	var parked []int64
	for _, lane := range lanes {
		for _, f := range firsts[lane] {
			if !f.parked {
				break
			}
			parked = append(parked, f.seq)
		}
	}
	if len(parked) == 0 {
		return nil
	}
	slices.Sort(parked)
	_, err = tx.ExecContext(ctx, "UPDATE outbox"+o.sql.by("PRIMARY")+" SET due_at = "+o.sql.Now()+" WHERE seq IN "+list(parked)+" AND state = 'NEW' AND due_at IS NULL")
	return err
}

// numbers reads a column of numbers.
func numbers(rows *sql.Rows, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
