package rocketmq_test

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/remoting"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

func TestCheckBackIsAnsweredTheSameEachTime(t *testing.T) {
	t.Parallel()
	for _, kind := range ledgers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			s.On(fakebroker.EndTransaction, fakebroker.Silence) // all that it is told gets lost
			l := newLedger(t, kind)
			cfg := on(t, bus, l)
			cfg.Deadline = time.Second
			tx := newTransactions(t, cfg)
			committed := newMessage()
			require.NoError(t, tx.Send(t.Context(), fakeTopic, committed, book(committed.UUID)))
			require.Equal(t, []string{toldCommit}, settled(t, s, 1))
			for range 3 {
				require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
			}
			s.On(fakebroker.EndTransaction, nil)
			require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
			visible(t, s, 1)

			s.On(fakebroker.EndTransaction, fakebroker.Silence)
			refused := newMessage()
			require.ErrorIs(t, tx.Send(t.Context(), fakeTopic, refused, func(context.Context, *sql.Tx) error { return sql.ErrNoRows }), sql.ErrNoRows)
			settled(t, s, 6)
			require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group), "before the deadline")
			eventually(t, func() bool { return slices.Equal(check(t, s, cfg.Group), []string{toldRollback}) }, func() string { return "not rolled back" })
			require.Equal(t, []rocketmq.TransactionState{rocketmq.TransactionRolledBack}, l.log(t, refused.UUID))
			require.Equal(t, []string{toldRollback}, check(t, s, cfg.Group))
		})
	}
}

// A business that has written its outcome and not committed yet is not undone
// behind its back, nor do other questions find a database that seems away.
func TestCheckBackDoesNotWaitForABusinessBeforeItsCommit(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"mysql", "mariadb"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			s.On(fakebroker.EndTransaction, fakebroker.Times(1, fakebroker.Silence, fakebroker.Default))
			l := newLedger(t, kind)
			cfg := on(t, bus, l)
			cfg.Deadline = time.Millisecond
			tx := newTransactions(t, cfg)
			// commit is a business that its deadline does not stop.
			commit := func(msg *message.Message, before func()) error {
				return tx.Do(t.Context(), fakeTopic, msg, func(_ context.Context, record func(context.Context, messaging.Tx) error) error {
					ctx := t.Context()
					own, err := l.db.BeginTx(ctx, nil)
					require.NoError(t, err)
					require.NoError(t, book(msg.UUID)(ctx, own))
					require.NoError(t, record(ctx, own))
					before()
					return own.Commit()
				})
			}
			committed, held := newMessage(), newMessage()
			require.NoError(t, commit(committed, func() {}))
			settled(t, s, 1)
			s.On(fakebroker.EndTransaction, fakebroker.Silence)
			require.NoError(t, commit(held, func() {
				for range 10 {
					require.ElementsMatch(t, []string{toldCommit, toldUnknown}, check(t, s, cfg.Group))
				}
				s.On(fakebroker.EndTransaction, nil)
			}))
			visible(t, s, 1)
			require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
			visible(t, s, 2)
			require.Len(t, l.effects(t), 2)
		})
	}
}

// Two services that share a group would answer for each other from databases
// that know nothing of it.
func TestCheckBackOfAnotherDatabaseIsNotAnswered(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	mine, other := newLedger(t, "sqlite"), newLedger(t, "sqlite")
	cfg := on(t, bus, mine)
	tx, err := rocketmq.NewTransactions(t.Context(), cfg)
	require.NoError(t, err)
	msg := newMessage()
	require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, func(context.Context, *sql.Tx) error { return nil }))
	settled(t, s, 1)
	require.NoError(t, tx.Close())

	second := cfg
	second.DB, second.Deadline = other.db, time.Millisecond
	eventually(t, func() bool { return len(s.Clients(cfg.Group)) == 0 }, func() string { return "still connected" })
	newTransactions(t, second)
	require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group))
	require.Empty(t, other.log(t, msg.UUID))
}

// Objects of the client share one by default, and questions reach only the first.
func TestCheckBackReachesEachGroup(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	var groups []string
	for range 3 {
		l := newLedger(t, "sqlite")
		cfg := on(t, bus, l)
		tx := newTransactions(t, cfg)
		msg := newMessage()
		require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, book(msg.UUID)))
		settled(t, s, len(groups)+1)
		groups = append(groups, cfg.Group)
	}
	for _, g := range groups {
		require.Equal(t, []string{toldCommit}, check(t, s, g))
	}
}

func TestCheckBackComesAgainAfterTheConnectionBroke(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	l := newLedger(t, "sqlite")
	cfg := on(t, bus, l)
	tx := newTransactions(t, cfg)
	msg := newMessage()
	require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, book(msg.UUID)))
	settled(t, s, 1)
	before := len(s.Received(fakebroker.Heartbeat))
	s.DropConnections()
	eventually(t, func() bool { return len(s.Received(fakebroker.Heartbeat)) > before }, func() string { return "no heartbeat" })
	require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
}

// The outcome of what is older than the log's retention may have been swept, so
// that nothing in the log does not mean that it was rolled back.
func TestCheckBackBeyondTheRetentionIsNotAnswered(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]string{rocketmq.DefaultRetention: toldUnknown, time.Hour: toldRollback} {
		t.Run(age.String(), func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			l := newLedger(t, "sqlite")
			cfg := on(t, bus, l)
			newTransactions(t, cfg)
			var properties strings.Builder
			for name, value := range map[string]string{
				"TRAN_MSG": "true", "PGROUP": cfg.Group, "UNIQ_KEY": "1", "tcckit-id": "1", "tcckit-transaction": "1", "tcckit-log": l.name(t),
				"tcckit-began": strconv.FormatInt(time.Now().Add(-age).UnixMilli(), 10),
			} {
				properties.WriteString(name + "\x01" + value + "\x02")
			}
			_, err := remoting.Call(t.Context(), s.Addr(), remoting.Command{Code: int(fakebroker.Send), Body: []byte("x"), Fields: map[string]string{
				"topic": fakeTopic, "queueId": "0", "sysFlag": "4", "properties": properties.String(),
			}})
			require.NoError(t, err)
			require.Equal(t, []string{want}, check(t, s, cfg.Group))
		})
	}
}
