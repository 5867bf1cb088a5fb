// Package sweep deletes from DTM's MySQL store the transactions that ended long ago. DTM's other stores forget
// them by themselves; on MySQL they would stay for ever.
package sweep

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// chunk is how many transactions are looked at, and deleted at most, in one go.
	chunk = 500
	// restFactor is how many times as long as a chunk took is rested after it: the store is there for DTM.
	restFactor = 3
)

// Result is what Sweep did.
type Result struct{ Scanned, Deleted int64 }

// Sweep deletes the transactions, with their branches, that ended before the time given. It reads them in the order
// of their making, up to the first that is younger; those that have not ended are left, however old.
//
// Each chunk is a transaction of its own, so it may be interrupted at any time. Several at once do no harm. The
// result counts what was done also when it fails.
//
// The connections of db must have the time zone of DTM's, which is this process's.
func Sweep(ctx context.Context, db *sql.DB, before time.Time) (Result, error) {
	var sum Result
	for after := int64(0); ; {
		began := time.Now()
		c, err := read(ctx, db, after, before)
		if err != nil {
			return sum, fmt.Errorf("read trans_global: %w", err)
		}
		sum.Scanned += c.scanned
		if len(c.ids) > 0 {
			if err := c.remove(ctx, db); err != nil {
				return sum, err
			}
			sum.Deleted += int64(len(c.ids))
		}
		if c.last {
			return sum, nil
		}
		after = c.end
		if err := rest(ctx, restFactor*time.Since(began)); err != nil {
			return sum, err
		}
	}
}

// found is a chunk of trans_global.
type found struct {
	ids, gids []any // of what is to go
	scanned   int64
	end       int64 // the id at its end
	last      bool  // nothing that could go comes after it
}

// read looks at the rows after an id. Where DTM has noted no time, a row counts as old, and as not ended.
func read(ctx context.Context, db *sql.DB, after int64, before time.Time) (c found, err error) {
	rows, err := db.QueryContext(ctx, `
SELECT id, gid, COALESCE(create_time >= ?, FALSE), status IN ('succeed', 'failed') AND COALESCE(update_time < ?, FALSE)
FROM trans_global WHERE id > ? ORDER BY id LIMIT ?`, before, before, after, chunk)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var gid string
		var young, ended bool
		if err := rows.Scan(&c.end, &gid, &young, &ended); err != nil {
			return c, err
		}
		if young {
			c.last = true
			return c, nil
		}
		c.scanned++
		if ended {
			c.ids, c.gids = append(c.ids, c.end), append(c.gids, gid)
		}
	}
	c.last = c.scanned < chunk
	return c, rows.Err()
}

// remove deletes the transactions that are to go. What has ended never changes again.
func (c found) remove(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}) // no locks on what lies between
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	in := " IN (?" + strings.Repeat(", ?", len(c.ids)-1) + ")"
	if _, err := tx.ExecContext(ctx, "DELETE FROM trans_branch_op WHERE gid"+in, c.gids...); err != nil {
		return fmt.Errorf("delete from trans_branch_op: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM trans_global WHERE id"+in, c.ids...); err != nil {
		return fmt.Errorf("delete from trans_global: %w", err)
	}
	return tx.Commit()
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
