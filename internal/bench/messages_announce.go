package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// announcements measures order_announce_*: what a message adds to the time that
// its sender takes, of whom there is one. The outbox's relay works all the while.
func (m *messagesRun) announcements(ctx context.Context) (err error) {
	topic, err := m.topic(ctx, "announce")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if _, err := m.store.DB().ExecContext(ctx, rocketmq.TransactionSchema(messaging.MySQL)); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	halves, err := rocketmq.NewTransactions(ctx, rocketmq.TransactionsConfig{Bus: m.bus, Group: topic, DB: m.store.DB(), Dialect: messaging.MySQL})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, halves.Close()) }()
	stop, err := m.startRelay(ctx)
	if err != nil {
		return err
	}
	defer stop()
	n := 0
	silent := func(ctx context.Context, _ int) error {
		n++
		return m.charge(ctx, n)
	}
	written := func(ctx context.Context, _ int) error {
		n++
		return m.announce(ctx, topic, n)
	}
	half := func(ctx context.Context, _ int) error {
		n++
		msg, err := newLoad(topic, n)
		if err != nil {
			return err
		}
		return halves.Send(ctx, topic, asSent(ctx, msg), func(ctx context.Context, tx *sql.Tx) error {
			return changeOne(tx.ExecContext(ctx, charge, account(n)))
		})
	}
	rounds := make([]Round, 3)
	if err := m.inTurns(ctx, 1, []Operation{silent, written, half}, []*Round{&rounds[0], &rounds[1], &rounds[2]}); err != nil {
		return err
	}
	for i, name := range []string{"nothing", "outbox", "half_message"} {
		m.figures["order_announce_"+name+"_ms"] = rounded(float64(rounds[i].Quantile(50))/float64(time.Millisecond), 2)
	}
	fmt.Fprintf(m.cfg.Out, "one sender, p50 of its transaction: without a message %s, with an outbox %s, with a half message %s (p99 %s, %s, %s)\n",
		milliseconds(rounds[0].Quantile(50)), milliseconds(rounds[1].Quantile(50)), milliseconds(rounds[2].Quantile(50)),
		milliseconds(rounds[0].Quantile(99)), milliseconds(rounds[1].Quantile(99)), milliseconds(rounds[2].Quantile(99)))
	return nil
}

// charge changes a row and writes no message.
func (m *messagesRun) charge(ctx context.Context, n int) error {
	return m.transact(ctx, n, func(*sql.Tx) error { return nil })
}

// announce changes a row and writes the n-th message.
func (m *messagesRun) announce(ctx context.Context, topic string, n int) error {
	msg, err := newLoad(topic, n)
	if err != nil {
		return err
	}
	err = m.transact(ctx, n, func(tx *sql.Tx) error { return m.outbox.Write(ctx, tx, msg) })
	if err == nil {
		m.outbox.Wake()
	}
	return err
}

// transact changes a row, and does more in the same transaction.
func (m *messagesRun) transact(ctx context.Context, n int, more func(tx *sql.Tx) error) error {
	tx, err := m.store.DB().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit an error of no interest
	if err := changeOne(tx.ExecContext(ctx, charge, account(n))); err != nil {
		return err
	}
	if err := more(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// startRelay has the outbox's messages published until stop is called.
func (m *messagesRun) startRelay(ctx context.Context) (stop func(), err error) {
	relay, err := outbox.NewRelay(outbox.RelayConfig{Outbox: m.outbox, Publisher: m.sender})
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}, nil
}

func (m *messagesRun) inTurns(ctx context.Context, clients int, ops []Operation, sums []*Round) error {
	return inTurns(ctx, clients, m.cfg.Rounds, m.cfg.Duration, ops, sums)
}
