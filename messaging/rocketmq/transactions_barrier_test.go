package rocketmq_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	driver "github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/tcc"
)

// A branch's message rides in the batch that the branch is part of, and a
// duplicate of the branch publishes nothing.
func TestBranchDecidesAboutAMessage(t *testing.T) {
	t.Parallel()
	bus := open(t, rocketmq.Config{})
	l := newLedger(t, "mysql")
	_, err := l.db.ExecContext(t.Context(), mysql.Schema)
	require.NoError(t, err)
	cfg, err := driver.ParseDSN(l.source)
	require.NoError(t, err)
	store, err := mysql.Open(t.Context(), cfg, mysql.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	topic := newTopic(t, bus, 4)
	got := readers(t, bus, topic)
	tx := newTransactions(t, on(t, bus, l))

	branch := func(ctx context.Context, phase tcc.Phase, gid string, queue func(barrier.Tx), record func(context.Context, messaging.Tx) error) (tcc.Outcome, error) {
		res, err := store.Do(ctx, barrier.Call{Branch: tcc.Branch{GID: gid, ID: "01", Phase: phase, Method: "/shop.Order/TryCreate"}},
			func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				queue(tx)
				if record == nil {
					return nil, nil
				}
				return nil, record(ctx, tx)
			})
		return res.Outcome, err
	}
	// confirm confirms a branch, with a message.
	confirm := func(gid string) (outcome tcc.Outcome, err error) {
		msg := newMessage()
		msg.UUID = gid
		err = tx.Do(t.Context(), topic, msg, func(ctx context.Context, record func(context.Context, messaging.Tx) error) (err error) {
			outcome, err = branch(ctx, tcc.Confirm, gid, func(tx barrier.Tx) {
				tx.Queue(barrier.Stmt{Query: "INSERT INTO effect (id) VALUES (?)", Args: []any{gid}, Key: gid, Rows: 1})
			}, record)
			return err
		})
		return outcome, err
	}
	var want []string
	var wg sync.WaitGroup
	for range testserver.Volume(30, 500) {
		gid := uuid.Must(uuid.NewV7()).String()
		want = append(want, gid)
		wg.Go(func() {
			_, err := branch(t.Context(), tcc.Try, gid, func(barrier.Tx) {}, nil)
			require.NoError(t, err)
			outcome, err := confirm(gid)
			require.NoError(t, err)
			require.Equal(t, tcc.Done, outcome)
			outcome, err = confirm(gid)
			require.NoError(t, err)
			require.Equal(t, tcc.Duplicate, outcome)
		})
	}
	wg.Wait()
	got.arrives(t, want[len(want)-1])
	eventually(t, func() bool { return got.len() == len(want) }, func() string { return "not all arrived" })
	require.Equal(t, want, l.effects(t))

	// A Try that is rejected takes its message with it.
	gid := uuid.Must(uuid.NewV7()).String()
	rejected := newMessage()
	no := tcc.Reject("NO", "not today", nil)
	err = tx.Do(t.Context(), topic, rejected, func(ctx context.Context, record func(context.Context, messaging.Tx) error) error {
		_, err := branch(ctx, tcc.Try, gid, func(tx barrier.Tx) {
			tx.Queue(barrier.Stmt{Query: "UPDATE effect SET id = '' WHERE id = ?", Args: []any{gid}, Rows: 1, Otherwise: func(context.Context, barrier.Tx) error { return no }})
		}, record)
		return err
	})
	var rejection *tcc.Rejection
	require.ErrorAs(t, err, &rejection)
	require.Equal(t, []rocketmq.TransactionState{rocketmq.TransactionRolledBack}, l.log(t, rejected.UUID))
	marker := newMessage()
	require.NoError(t, tx.Send(t.Context(), topic, marker, book(marker.UUID)))
	got.arrives(t, marker.UUID)
	require.Zero(t, got.times(rejected.UUID))
}
