package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tcckit/tcckit/messaging"
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
	mine := make(map[int64][]*item)
	for _, it := range items {
		if it.lane != 0 {
			mine[it.lane] = append(mine[it.lane], it)
		}
	}
	if len(mine) == 0 {
		return items, nil
	}
	firsts, err := o.firsts(ctx, tx, mine, items[len(items)-1].seq)
	if err != nil {
		return nil, err
	}
	before := make(map[int64]int64) // the blocker of each blocked one
	for lane, own := range mine {
		run := 0
		for run < len(own) && run < len(firsts[lane]) && own[run].seq == firsts[lane][run] {
			run++
		}
		if run == len(own) {
			continue
		}
		if run == len(firsts[lane]) {
			return nil, fmt.Errorf("message %d is locked and not in its lane", own[run].seq)
		}
		for _, it := range own[run:] {
			before[it.seq] = firsts[lane][run]
		}
	}
	if len(before) == 0 {
		return items, nil
	}
	if err := o.park(ctx, tx, before); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(items, func(it *item) bool { return before[it.seq] != 0 }), nil
}

// firsts returns the first messages of the lanes of items, up to a last one, and
// at least as many of each lane as there are items of it. It locks none.
func (o *Outbox) firsts(ctx context.Context, tx *sql.Tx, items map[int64][]*item, last int64) (map[int64][]int64, error) {
	limit := 1
	for _, own := range items {
		limit += 2 * len(own)
	}
	firsts := make(map[int64][]int64, len(items))
	for lanes := slices.Sorted(maps.Keys(items)); len(lanes) > 0; {
		end, n, err := o.scanLanes(ctx, tx, lanes, last, limit, firsts)
		if err != nil {
			return nil, err
		}
		if n < limit {
			break
		}
		// There was more. The lane at the end may be cut: it is read again,
		// unless it was long enough, as it was if it is the only one.
		next := slices.Index(lanes, end)
		if len(firsts[end]) < len(items[end]) {
			delete(firsts, end)
		} else {
			next++
		}
		lanes = lanes[next:]
	}
	return firsts, nil
}

// scanLanes reads lanes from the first on, until it has as many messages as the
// limit says, and returns where it ended and how many those were.
func (o *Outbox) scanLanes(ctx context.Context, tx *sql.Tx, lanes []int64, last int64, limit int, into map[int64][]int64) (end int64, n int, err error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT lane, seq FROM outbox%s WHERE lane > 0 AND lane IN %s AND seq <= %d ORDER BY lane, seq LIMIT %d",
		o.sql.by("outbox_lane"), list(lanes), last, limit))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = rows.Close() }()
	for ; rows.Next(); n++ {
		var seq int64
		if err := rows.Scan(&end, &seq); err != nil {
			return 0, 0, err
		}
		into[end] = append(into[end], seq)
	}
	return end, n, rows.Err()
}

// park takes what is blocked out of the way: for good, if its blocker can be
// locked, otherwise for a moment.
func (o *Outbox) park(ctx context.Context, tx *sql.Tx, before map[int64]int64) error {
	blockers := slices.Compact(slices.Sorted(maps.Values(before)))
	locked, err := numbers(tx.QueryContext(ctx, "SELECT seq FROM outbox"+o.sql.by("PRIMARY")+" WHERE seq IN "+list(blockers)+" AND lane <> 0 ORDER BY seq"+o.sql.SkipLocked()))
	if err != nil {
		return err
	}
	var parked, later []int64
	for seq, blocker := range before {
		if _, ok := slices.BinarySearch(locked, blocker); ok {
			parked = append(parked, seq)
		} else {
			later = append(later, seq)
		}
	}
	if err := o.setDue(ctx, tx, parked, "0"); err != nil {
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

// wakeLanes makes the first of each lane due if it is parked, and with it some
// of those behind it. No lanes are all of them.
func (o *Outbox) wakeLanes(ctx context.Context, tx messaging.Tx, lanes []int64, most int) error {
	which := "lane > 0"
	if len(lanes) > 0 {
		which += " AND lane IN " + list(lanes)
	}
	asleep, err := numbers(tx.QueryContext(ctx, "SELECT o.lane FROM (SELECT MIN(seq) AS seq FROM outbox"+o.sql.by("outbox_lane")+
		" WHERE "+which+" GROUP BY lane) AS head JOIN outbox AS o ON o.seq = head.seq WHERE o.state = 'NEW' AND o.due_at = 0"))
	for err == nil && len(asleep) > 0 {
		n := min(len(asleep), most)
		if err = o.wakeSome(ctx, tx, asleep[:n], most); err == nil {
			asleep = asleep[n:]
		}
	}
	return err
}

// wakeSome makes the first of each lane due, and others, for as many as it may.
func (o *Outbox) wakeSome(ctx context.Context, tx messaging.Tx, lanes []int64, most int) error {
	const parked = " AND state = 'NEW' AND due_at = 0"
	from := " FROM outbox" + o.sql.by("outbox_lane") + " WHERE lane > 0 AND lane IN " + list(lanes)
	heads, err := numbers(tx.QueryContext(ctx, "SELECT MIN(seq)"+from+" GROUP BY lane"))
	if err != nil {
		return err
	}
	more, err := numbers(tx.QueryContext(ctx, "SELECT seq"+from+parked+fmt.Sprintf(" ORDER BY lane, seq LIMIT %d", most)))
	if err != nil {
		return err
	}
	wake := append(heads, more...)
	slices.Sort(wake)
	_, err = tx.ExecContext(ctx, "UPDATE outbox"+o.sql.by("PRIMARY")+" SET due_at = "+o.sql.Now()+" WHERE seq IN "+list(slices.Compact(wake))+parked)
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
