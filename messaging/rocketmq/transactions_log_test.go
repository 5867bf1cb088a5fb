package rocketmq_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/rocketmq"
)

func TestOldOutcomesAreSwept(t *testing.T) {
	t.Parallel()
	for _, kind := range ledgers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, bus := newFake(t)
			l := newLedger(t, kind)
			cfg := on(t, bus, l)
			cfg.SweepInterval = 20 * time.Millisecond
			cfg.Retention = rocketmq.MinRetention
			now := time.Now()
			for i, age := range []time.Duration{0, time.Hour, cfg.Retention - time.Minute, cfg.Retention + time.Minute, 365 * 24 * time.Hour} {
				at := now.Add(-age).UnixMilli()
				_, err := l.db.ExecContext(t.Context(), "INSERT INTO message_transaction (id, message_id, topic, state, created_at) VALUES (?, ?, 't', 'COMMITTED', ?)",
					fmt.Sprintf("%08x-%04x-7000-8000-000000000000", at>>16, at&0xffff), fmt.Sprint(i), at)
				require.NoError(t, err)
			}
			tx := newTransactions(t, cfg)
			eventually(t, func() bool { return len(list(t, l, rocketmq.ListTransactionsOptions{})) == 3 }, func() string { return fmt.Sprint(list(t, l, rocketmq.ListTransactionsOptions{})) })
			require.Equal(t, []string{"2", "1", "0"}, list(t, l, rocketmq.ListTransactionsOptions{}))
			require.NoError(t, tx.Close())
			require.NotEmpty(t, l.name(t))
		})
	}
}

// name is the log's, by which half messages know it.
func (l *ledger) name(t *testing.T) (name string) {
	t.Helper()
	require.NoError(t, l.db.QueryRowContext(t.Context(), "SELECT message_id FROM message_transaction WHERE id = '@'").Scan(&name))
	return name
}

// list returns the ids of messages.
func list(t *testing.T, l *ledger, opts rocketmq.ListTransactionsOptions) []string {
	t.Helper()
	all, err := rocketmq.ListTransactions(t.Context(), l.db, opts)
	require.NoError(t, err)
	ids := []string{}
	for _, tr := range all {
		ids = append(ids, tr.MessageID)
	}
	return ids
}

func TestListTransactions(t *testing.T) {
	t.Parallel()
	for _, kind := range ledgers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			s.AddTopic("the_others", 1) // RocketMQ knows no dots
			l := newLedger(t, kind)
			tx := newTransactions(t, on(t, bus, l))
			var want []string
			for i := range 4 {
				msg := newMessage()
				topic := fakeTopic
				if i == 3 {
					topic = "the.others"
				}
				require.NoError(t, tx.Send(t.Context(), topic, msg, func(context.Context, *sql.Tx) error { return nil }))
				want = append(want, msg.UUID)
			}
			all, err := rocketmq.ListTransactions(t.Context(), l.db, rocketmq.ListTransactionsOptions{})
			require.NoError(t, err)
			require.Len(t, all, 4)
			require.Equal(t, rocketmq.TransactionCommitted, all[0].State)
			require.Equal(t, fakeTopic, all[0].Topic)
			require.WithinDuration(t, time.Now(), all[0].CreatedAt, time.Hour)

			require.Equal(t, want, list(t, l, rocketmq.ListTransactionsOptions{}))
			require.Equal(t, want[:2], list(t, l, rocketmq.ListTransactionsOptions{Limit: 2}))
			require.Equal(t, want[2:], list(t, l, rocketmq.ListTransactionsOptions{After: all[1].ID}))
			require.Equal(t, want[3:], list(t, l, rocketmq.ListTransactionsOptions{Topic: "the.others"}))
			require.Equal(t, want[1:2], list(t, l, rocketmq.ListTransactionsOptions{MessageID: want[1]}))
			require.Empty(t, list(t, l, rocketmq.ListTransactionsOptions{State: rocketmq.TransactionRolledBack}))
			_, err = rocketmq.ListTransactions(t.Context(), l.db, rocketmq.ListTransactionsOptions{Limit: -1})
			require.ErrorContains(t, err, "limit of -1")
		})
	}
}
