package inbox_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/inbox"
)

const add = "UPDATE account SET n = n + 1 WHERE id = ?"

// BenchmarkOverhead compares a message whose work is one UPDATE with the same
// UPDATE in a transaction of its own, in turns, on MySQL. Its metric
// inbox_overhead is the ratio of the medians.
func BenchmarkOverhead(b *testing.B) {
	cfg := tuned(testserver.MySQL(b))
	cfg.Params["transaction_isolation"] = "'READ-COMMITTED'"
	g := openGround(b, onMySQL, cfg.FormatDSN())
	g.exec("CREATE TABLE account (id INT PRIMARY KEY, n BIGINT NOT NULL)")
	for id := range 1000 {
		g.exec("INSERT INTO account VALUES (?, 0)", id)
	}
	plain := func(ctx context.Context, id int) error {
		tx, err := g.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, add, id); err != nil {
			return err
		}
		return tx.Commit()
	}
	next := 0
	box := g.open(g.config(func(context.Context, *message.Message) (inbox.Work, error) {
		id := next
		return func(ctx context.Context, tx *inbox.Tx) error {
			_, err := tx.ExecContext(ctx, add, id)
			return err
		}, nil
	}))
	var with, without []time.Duration
	for b.Loop() {
		next = (next + 7) % 1000
		began := time.Now()
		require.NoError(b, plain(b.Context(), next))
		without = append(without, time.Since(began))
		msg := message.NewMessage(uuid.Must(uuid.NewV7()).String(), []byte(fmt.Sprint("order ", next)))
		began = time.Now()
		require.NoError(b, box.Handle(msg))
		with = append(with, time.Since(began))
	}
	slices.Sort(with)
	slices.Sort(without)
	b.ReportMetric(float64(without[len(without)/2].Microseconds()), "plain-µs")
	b.ReportMetric(float64(with[len(with)/2].Microseconds()), "inbox-µs")
	b.ReportMetric(float64(with[len(with)/2])/float64(without[len(without)/2]), "inbox_overhead")
}
