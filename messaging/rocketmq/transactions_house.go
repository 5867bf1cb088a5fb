package rocketmq

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// clockInterval is how often the database's clock is looked at.
	clockInterval = time.Minute
	// houseTimeout bounds one statement of the housekeeping.
	houseTimeout = 10 * time.Second
	// sweepChunk is how many rows are deleted together.
	sweepChunk = 1000
)

// keepHouse follows the database's clock and deletes outcomes that nobody will
// ask for any more.
func (t *Transactions) keepHouse(ctx context.Context) {
	// What is started at once should not work at once.
	next := time.Now().Add(time.Duration(rand.Int64N(int64(t.cfg.SweepInterval))))
	every(ctx, min(clockInterval, t.cfg.SweepInterval), func() {
		err := within(ctx, houseTimeout, t.log.setClock)
		if err == nil && !time.Now().Before(next) {
			next = time.Now().Add(t.cfg.SweepInterval)
			err = t.sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "rocketmq: transactions: housekeeping failed, the next round goes on",
				slog.String("group", t.cfg.Group), slog.Any("error", err))
		}
	})
}

// sweep deletes in chunks, by the primary key, which is in the order of time.
func (t *Transactions) sweep(ctx context.Context) error {
	end := idAt(t.log.clock() - t.cfg.Retention.Milliseconds())
	for ctx.Err() == nil {
		var last sql.NullString
		var n int64
		err := within(ctx, houseTimeout, func(ctx context.Context) error {
			return t.log.db.QueryRowContext(ctx, "SELECT MAX(id), COUNT(*) FROM"+
				" (SELECT id FROM message_transaction WHERE id < ? ORDER BY id LIMIT ?) AS old", end, sweepChunk).Scan(&last, &n)
		})
		if err == nil && n > 0 {
			err = within(ctx, houseTimeout, func(ctx context.Context) error {
				_, err := t.log.db.ExecContext(ctx, "DELETE FROM message_transaction WHERE id <= ?", last.String)
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("delete old outcomes: %w", err)
		}
		t.telemetry.swept.Add(ctx, n, t.telemetry.group)
		if n < sweepChunk {
			return nil
		}
	}
	return ctx.Err()
}

// idAt is below all UUIDs of version 7 that were made at a time, in Unix ms, or
// later, and above all those made before.
func idAt(ms int64) string {
	b := [6]byte{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)}
	return hex.EncodeToString(b[:4]) + "-" + hex.EncodeToString(b[4:])
}
