package rocketmq

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/google/uuid"

	"github.com/tcckit/tcckit/messaging"
)

var (
	// ErrRolledBack says that a business transaction was rolled back because its
	// deadline had passed, or because it was held up or cut off so that nobody
	// knew of it any more. The message is dropped.
	ErrRolledBack = errors.New("rocketmq: the business transaction came to its end too late and was rolled back")
	// ErrOutcomeUnknown says that the answer to a business transaction's COMMIT
	// was lost and the database cannot be asked now. The broker will: the
	// message arrives if, and only if, it was committed.
	ErrOutcomeUnknown = errors.New("rocketmq: it is not known yet whether the business transaction was committed; the message goes with it either way")
)

// Business is a transaction that decides about a message. It must call record
// in its transaction, as the last thing before COMMIT, and again when it runs
// the transaction again; with a transaction that queues, as a barrier.Tx does,
// record queues.
type Business = func(ctx context.Context, record func(ctx context.Context, tx messaging.Tx) error) error

// The properties of a half message, beside those of every message.
const (
	propertyTransaction = "tcckit-transaction" // id in the log
	propertyBegan       = "tcckit-began"       // database's time in Unix ms
	propertyLog         = "tcckit-log"         // name of the log
)

// Send runs work in a transaction of the database, READ COMMITTED on MySQL, and
// sends the message if that commits. Work must return the errors of its
// statements, and must neither commit nor roll back. It runs once, and only when
// the broker has stored the half message; its ctx ends at the deadline.
//
// Send returns nil when the transaction has committed; the error of work when
// that failed; [ErrRolledBack], [ErrOutcomeUnknown]; and where the half message
// could not be sent, so that work did not run, an error that says who is to
// blame, as from a publisher: [messaging.ErrUnavailable],
// [messaging.ErrPermanent], [ErrUnknownTopic].
func (t *Transactions) Send(ctx context.Context, topic string, msg *message.Message, work func(ctx context.Context, tx *sql.Tx) error) error {
	return t.send(ctx, topic, msg, func(ctx context.Context, record func(context.Context, messaging.Tx) error) error {
		tx, err := t.log.db.BeginTx(ctx, t.log.txOptions())
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // after Commit it is an error of no interest
		if err := work(ctx, tx); err != nil {
			return err
		}
		own := &ownTx{Tx: tx}
		if err := record(ctx, own); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return &commitError{err}
		}
		own.committed()
		return nil
	}, true)
}

// ownTx tells when it was committed.
type ownTx struct {
	*sql.Tx
	committed func()
}

// AfterCommit implements messaging.Committer, for one.
func (tx *ownTx) AfterCommit(f func()) { tx.committed = f }

// commitError is that of a COMMIT, which says nothing of the outcome.
type commitError struct{ cause error }

func (e *commitError) Error() string { return "COMMIT: " + e.cause.Error() }
func (e *commitError) Unwrap() error { return e.cause }

// Do is [Transactions.Send] for a transaction of others, such as a barrier's
// branch. Business that never calls record, as for a duplicate of a branch,
// publishes nothing. Do returns the error of business as it is, nil if that is
// nil; and as Send where business did not run.
func (t *Transactions) Do(ctx context.Context, topic string, msg *message.Message, business Business) error {
	return t.send(ctx, topic, msg, business, false)
}

// send sends a half message, again while that fails for want of a broker and
// there is time, and runs business. Each attempt has an id of its own, so that a
// half message whose answer was lost has no outcome, and is rolled back in time.
func (t *Transactions) send(ctx context.Context, topic string, msg *message.Message, business Business, own bool) error {
	wrap := func(err error) error {
		return fmt.Errorf("rocketmq: half message to %s: %w", topic, err)
	}
	if err := checkName("topic", topic, maxTopic); err != nil {
		return wrap(err)
	}
	if _, ok := msg.Metadata[messaging.MetadataDelay]; ok {
		return wrap(messaging.Permanent(errors.New("RocketMQ does not delay what a transaction decides about")))
	}
	leave, err := t.enter()
	if err != nil {
		return wrap(err)
	}
	defer leave()
	note := t.telemetry.begin(ctx, topic)
	limit, cancel := context.WithTimeout(ctx, t.bus.cfg.SendTimeout)
	defer cancel()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		tr, err := t.attempt(ctx, limit, topic, msg, business)
		if err == nil {
			note(tr.result)
			return tr.answer(own)
		}
		timer := time.NewTimer(pause)
		if errors.Is(err, messaging.ErrUnavailable) && !errors.Is(err, ErrClosed) {
			select {
			case <-timer.C:
				continue
			case <-limit.Done():
			}
		}
		timer.Stop()
		note(notSent)
		return wrap(err)
	}
}

// attempt sends a half message once, and runs business if the broker has stored
// it. An error says that business did not run and will not. The client does not
// heed limit while it looks for a broker: see publisher.attempt.
func (t *Transactions) attempt(ctx, limit context.Context, topic string, msg *message.Message, business Business) (*transaction, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	tr := &transaction{t: t, entry: entry{id.String(), msg.UUID, topic}, ctx: ctx, business: business}
	out, err := encode(topic, msg, t.bus.trace(msg))
	if err != nil {
		return nil, err
	}
	out.WithProperty(propertyTransaction, tr.id)
	out.WithProperty(propertyBegan, strconv.FormatInt(t.log.clock(), 10))
	out.WithProperty(propertyLog, t.log.name)
	select {
	case t.slots <- struct{}{}:
	case <-limit.Done():
		return nil, messaging.Unavailable(fmt.Errorf("%d transactions are under way: %w", t.cfg.Transactions, limit.Err()))
	}
	tr.deadline = time.Now().Add(t.cfg.Deadline)
	t.follow(tr)
	done := make(chan error, 1)
	t.busy.Go(func() {
		defer func() { <-t.slots }()
		defer t.forget(tr)
		done <- t.sendHalf(limit, out.Message)
	})
	select {
	case err = <-done:
	case <-limit.Done():
		if tr.give(up) {
			return nil, messaging.Unavailable(errNoAnswer)
		}
		err = <-done // the business runs, and is not cut short by us
	}
	if tr.ran() {
		return tr, nil // whatever the client says after that
	}
	return nil, t.bus.classify(limit, topic, err)
}

// sendHalf returns nil if the half message is stored and business has run.
func (t *Transactions) sendHalf(ctx context.Context, msg *primitive.Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.bus.cfg.Logger.ErrorContext(ctx, "rocketmq: the client panicked", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the client panicked: %v", v)
		}
	}()
	res, err := t.producer.SendMessageInTransaction(ctx, msg)
	if err != nil {
		return err
	}
	if res.Status != primitive.SendOK {
		return messaging.Unavailable(fmt.Errorf("the broker has stored it, but not as safely as it is set up to: %s", status(res.Status)))
	}
	return nil
}

// recovered is deferred where the client's code runs in a goroutine of ours.
func (t *Transactions) recovered(ctx context.Context) {
	if v := recover(); v != nil {
		t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelError, "rocketmq: the client panicked", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	}
}
