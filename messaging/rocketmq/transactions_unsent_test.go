package rocketmq_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

// neverRun is a business that must not run.
func neverRun(t *testing.T) func(context.Context, *sql.Tx) error {
	return func(context.Context, *sql.Tx) error {
		t.Error("the business ran without a half message")
		return nil
	}
}

func TestWithoutAHalfMessageTheBusinessDoesNotRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on      fakebroker.Request
		handler fakebroker.Handler
		is      error
	}{
		"busy":              {fakebroker.Send, fakebroker.Refuse(fakebroker.SystemBusy, "busy"), messaging.ErrUnavailable},
		"illegal":           {fakebroker.Send, fakebroker.Refuse(fakebroker.MessageIllegal, "too large"), messaging.ErrPermanent},
		"silent":            {fakebroker.Send, fakebroker.Silence, messaging.ErrUnavailable},
		"stored and silent": {fakebroker.Send, fakebroker.DoAndSilence, messaging.ErrUnavailable},
		"stored, not safe":  {fakebroker.Send, fakebroker.DoAndSay(fakebroker.FlushDiskTimeout), messaging.ErrUnavailable},
		"no route":          {fakebroker.Route, fakebroker.Refuse(fakebroker.TopicUnknown, "no"), rocketmq.ErrUnknownTopic},
		"silent names":      {fakebroker.Route, fakebroker.Silence, messaging.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			l := newLedger(t, "sqlite")
			cfg := on(t, bus, l)
			cfg.Deadline = time.Second
			tx := newTransactions(t, cfg)
			s.On(c.on, c.handler)
			err := tx.Send(t.Context(), fakeTopic, newMessage(), neverRun(t))
			require.ErrorIs(t, err, c.is)
			if name == "silent names" {
				require.ErrorContains(t, err, "no answer in time", "the caller does not wait until the client gives up")
			}

			// What the broker has stored without our knowing of it is dropped.
			s.On(c.on, nil)
			if len(s.Halves()) > 0 {
				eventually(t, func() bool {
					check(t, s, cfg.Group)
					return len(s.Halves()) == 0
				}, func() string { return "half messages are left" })
			}
			require.Empty(t, s.Messages(fakeTopic))
		})
	}
}

// A half message whose answer was lost is sent again, as another one: the first
// has no outcome of its own.
func TestHalfMessageWhoseAnswerWasLostIsNotDelivered(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.Send, fakebroker.Times(1, fakebroker.DoAndSay(fakebroker.FlushDiskTimeout), fakebroker.Default))
	s.On(fakebroker.EndTransaction, fakebroker.Times(1, fakebroker.Silence, fakebroker.Default)) // also the client's own rollback is lost
	l := newLedger(t, "sqlite")
	cfg := on(t, bus, l)
	cfg.Deadline = time.Second
	tx := newTransactions(t, cfg)
	msg := newMessage()
	require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, book(msg.UUID)))
	require.Equal(t, []string{msg.UUID}, l.effects(t))
	visible(t, s, 1)
	eventually(t, func() bool {
		return len(s.Halves()) == 0 || slices.Equal(check(t, s, cfg.Group), []string{toldRollback})
	},
		func() string { return "the first half message is left" })
	visible(t, s, 1)
}

func TestContextThatEndsBeforeTheHalfMessage(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	l := newLedger(t, "sqlite")
	tx := newTransactions(t, on(t, bus, l))
	arrived := make(chan struct{})
	s.On(fakebroker.Send, func(c *fakebroker.Call) {
		close(arrived)
		fakebroker.Delay(200*time.Millisecond, fakebroker.Default)(c)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	err := tx.Send(ctx, fakeTopic, newMessage(), neverRun(t))
	require.ErrorIs(t, err, messaging.ErrUnavailable)
	require.NoError(t, tx.Close(), "which waits for the client")
}

// A caller that goes away does not cut a business short that has begun.
func TestBusinessThatRunsIsWaitedFor(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	l := newLedger(t, "sqlite")
	tx := newTransactions(t, on(t, bus, l))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	msg := newMessage()
	require.NoError(t, tx.Do(ctx, fakeTopic, msg, func(_ context.Context, record func(context.Context, messaging.Tx) error) error {
		cancel()
		ctx := context.WithoutCancel(ctx)
		own, err := l.db.BeginTx(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, record(ctx, own))
		return own.Commit()
	}))
	visible(t, s, 1)
}

func TestAtMostSoManyTransactionsAtOnce(t *testing.T) {
	t.Parallel()
	_, bus := newFake(t)
	l := newLedger(t, "sqlite")
	cfg := on(t, bus, l)
	cfg.Transactions = 1
	tx := newTransactions(t, cfg)
	msg := newMessage()
	require.NoError(t, tx.Do(t.Context(), fakeTopic, msg, func(context.Context, func(context.Context, messaging.Tx) error) error {
		err := tx.Send(t.Context(), fakeTopic, newMessage(), neverRun(t))
		require.ErrorIs(t, err, messaging.ErrUnavailable)
		require.ErrorContains(t, err, "1 transactions are under way")
		return nil
	}))
}

func TestMessagesThatCannotBeHalfAreRefused(t *testing.T) {
	t.Parallel()
	_, bus := newFake(t)
	tx := newTransactions(t, on(t, bus, newLedger(t, "sqlite")))
	delayed := newMessage()
	messaging.SetDelay(delayed, time.Second)
	for name, m := range map[string]*message.Message{
		"delayed":   delayed,
		"too large": message.NewMessage("1", make([]byte, rocketmq.MaxPayload+1)),
	} {
		require.ErrorIs(t, tx.Send(t.Context(), fakeTopic, m, neverRun(t)), messaging.ErrPermanent, name)
	}
	require.ErrorIs(t, tx.Send(t.Context(), "no such.", newMessage(), neverRun(t)), messaging.ErrPermanent)
	require.NoError(t, tx.Close())
	require.NoError(t, tx.Close())
	require.ErrorIs(t, tx.Send(t.Context(), fakeTopic, newMessage(), neverRun(t)), rocketmq.ErrClosed)
}

func TestTransactionsConfig(t *testing.T) {
	t.Parallel()
	_, bus := newFake(t)
	l := newLedger(t, "sqlite")
	good := on(t, bus, l)
	for want, change := range map[string]func(*rocketmq.TransactionsConfig){
		"no Bus":            func(c *rocketmq.TransactionsConfig) { c.Bus = nil },
		"use an outbox":     func(c *rocketmq.TransactionsConfig) { c.Bus = openBus(t, rocketmq.Config{}) },
		"no DB":             func(c *rocketmq.TransactionsConfig) { c.DB = nil },
		`dialect "oracle"`:  func(c *rocketmq.TransactionsConfig) { c.Dialect = "oracle" },
		"no group":          func(c *rocketmq.TransactionsConfig) { c.Group = "" },
		"deadline 6m0s":     func(c *rocketmq.TransactionsConfig) { c.Deadline = 6 * time.Minute },
		"retention 24h0m0s": func(c *rocketmq.TransactionsConfig) { c.Retention = 24 * time.Hour },
		"more than 0":       func(c *rocketmq.TransactionsConfig) { c.Transactions = -1 },
		"run `tcckit migrate`": func(c *rocketmq.TransactionsConfig) {
			_, err := l.db.ExecContext(t.Context(), "ALTER TABLE message_transaction RENAME TO elsewhere")
			require.NoError(t, err)
		},
	} {
		cfg := good
		change(&cfg)
		_, err := rocketmq.NewTransactions(t.Context(), cfg)
		require.ErrorContains(t, err, want)
		if errors.Is(err, sql.ErrNoRows) {
			t.Fatal("a table without rows is none that is missing")
		}
		if want == "run `tcckit migrate`" {
			_, err := l.db.ExecContext(t.Context(), "ALTER TABLE elsewhere RENAME TO message_transaction")
			require.NoError(t, err)
		}
	}
}
