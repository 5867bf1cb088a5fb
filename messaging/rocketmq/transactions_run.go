package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/messaging"
)

// entry is what the log holds of a transaction.
type entry struct{ id, messageID, topic string }

// result is how a transaction ended, as far as is known here.
type result string

const (
	resultCommitted  result = "committed"
	resultRolledBack result = "rolled_back"
	resultUnknown    result = "unknown"
	notSent          result = "not_sent"
)

// transaction is one whose half message is stored.
type transaction struct {
	t *Transactions
	entry
	deadline time.Time

	// result and err are what became of business.
	result result
	err    error
}

// run runs business and finds out what became of it.
func (tr *transaction) run(ctx context.Context, business Business) {
	r := &recorder{tr: tr}
	tr.err = tr.safely(ctx, business, r)
	switch {
	case r.committed.Load():
		tr.result = resultCommitted
	case !r.called.Load():
		tr.result = resultRolledBack // nothing could be written
	default:
		tr.result = tr.lookUp(ctx)
	}
}

// safely turns a panic of business into an error.
func (tr *transaction) safely(ctx context.Context, business Business, r *recorder) (err error) {
	ctx, cancel := context.WithDeadline(ctx, tr.deadline)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			tr.t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelError, "rocketmq: a business transaction panicked",
				slog.String("topic", tr.topic), slog.String("message", tr.messageID), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("rocketmq: the business transaction panicked: %v", v)
		}
	}()
	return business(ctx, r.record)
}

// lookUp asks the table what became of business that has written its outcome,
// and decides it if nothing arrived there: a COMMIT without an answer may be on
// its way still.
func (tr *transaction) lookUp(ctx context.Context) result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	s, _, err := tr.t.log.find(ctx, tr.t.log.db, tr.id)
	if err == nil && s == "" {
		s, err = tr.t.log.rollBack(ctx, tr.entry)
	}
	switch {
	case err == nil && s == TransactionCommitted:
		return resultCommitted
	case err == nil && s == TransactionRolledBack:
		return resultRolledBack
	}
	tr.t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "rocketmq: what became of a business transaction is not known yet, the broker will ask",
		slog.String("topic", tr.topic), slog.String("message", tr.messageID), slog.Any("error", errors.Join(tr.err, err)))
	return resultUnknown
}

// answer is what the caller of Send is told, whose transaction is ours: the table
// says more than an error at the end.
func (tr *transaction) answer() error {
	var commit *commitError
	unknown := errors.As(tr.err, &commit)
	switch {
	case tr.err == nil, unknown && tr.result == resultCommitted:
		return nil
	case unknown && tr.result == resultUnknown:
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, messaging.Unavailable(tr.err))
	case unknown, !errors.Is(tr.err, ErrRolledBack) && !time.Now().Before(tr.deadline):
		return fmt.Errorf("%w: %w", ErrRolledBack, tr.err)
	default:
		return tr.err
	}
}

// recorder writes the outcome into a business transaction.
type recorder struct {
	tr *transaction
	// called says that something may have been written, committed that the
	// transaction said so.
	called, committed atomic.Bool
}

// record is what business calls.
func (r *recorder) record(ctx context.Context, tx messaging.Tx) error {
	r.called.Store(true)
	if c, ok := tx.(messaging.Committer); ok {
		c.AfterCommit(func() { r.committed.Store(true) })
	}
	query, args := r.tr.t.log.insert(TransactionCommitted), []any{r.tr.id, r.tr.messageID, r.tr.topic}
	if b, ok := tx.(barrier.Tx); ok {
		b.Queue(r.queued(query, args))
		return nil
	}
	n, err := affected(tx.ExecContext(ctx, query, args...))
	if err == nil && n == 0 {
		err = ErrRolledBack
	}
	return err
}

// queued writes the outcome in the one round trip of a branch. If the deadline
// has passed there is a row already, and the branch fails.
func (r *recorder) queued(query string, args []any) barrier.Stmt {
	return barrier.Stmt{
		Query: query, Args: args, Key: "message_transaction " + r.tr.id, Rows: 1,
		Otherwise: func(context.Context, barrier.Tx) error { return messaging.Unavailable(ErrRolledBack) },
	}
}
