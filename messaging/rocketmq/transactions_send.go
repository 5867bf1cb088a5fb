package rocketmq

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
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
	tr, err := t.run(ctx, topic, msg, func(ctx context.Context, record func(context.Context, messaging.Tx) error) error {
		tx, err := t.log.db.BeginTx(ctx, t.log.txOptions())
		if err != nil {
			return messaging.Unavailable(fmt.Errorf("rocketmq: begin the business transaction: %w", err))
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
	})
	if err != nil {
		return err
	}
	return tr.answer()
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
	tr, err := t.run(ctx, topic, msg, business)
	if err != nil {
		return err
	}
	return tr.err
}

// run sends a half message, runs business, and tells the broker. An error says
// that business did not run.
func (t *Transactions) run(ctx context.Context, topic string, msg *message.Message, business Business) (*transaction, error) {
	wrap := func(err error) error {
		return fmt.Errorf("rocketmq: half message to %s: %w", topic, err)
	}
	if err := checkName("topic", topic, maxTopic); err != nil {
		return nil, wrap(err)
	}
	if _, ok := msg.Metadata[messaging.MetadataDelay]; ok {
		return nil, wrap(messaging.Permanent(errors.New("RocketMQ does not delay what a transaction decides about")))
	}
	leave, err := t.enter()
	if err != nil {
		return nil, wrap(err)
	}
	defer leave()
	note := t.telemetry.begin(ctx, topic)
	h, release, err := t.prepare(ctx, topic, msg)
	if err != nil {
		note(notSent)
		return nil, wrap(err)
	}
	defer release()
	tr := &transaction{t: t, entry: h.entry, deadline: h.began.Add(t.cfg.Deadline)}
	tr.run(ctx, business)
	note(tr.result)
	switch tr.result {
	case resultCommitted:
		t.tell(ctx, h, remoting.Commit)
	case resultRolledBack:
		t.tell(ctx, h, remoting.Rollback)
	default:
		t.tell(ctx, h, remoting.Unknown)
	}
	return tr, nil
}

// prepare sends a half message, again while that fails for want of a broker and
// there is time. Each attempt has an id of its own, so that a half message whose
// answer was lost has no outcome, and is rolled back in time.
func (t *Transactions) prepare(ctx context.Context, topic string, msg *message.Message) (h half, release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, t.bus.cfg.SendTimeout)
	defer cancel()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		h, release, err = t.sendHalf(ctx, topic, msg)
		if err == nil || !errors.Is(err, messaging.ErrUnavailable) || errors.Is(err, ErrClosed) {
			return h, release, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return h, nil, err
		}
	}
}
