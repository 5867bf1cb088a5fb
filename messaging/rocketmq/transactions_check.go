package rocketmq

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

const (
	// lookTimeout bounds one look into the log.
	lookTimeout = 2 * time.Second
	// awayPause is how long the database is not asked after it did not answer.
	awayPause = time.Second
)

// maxChecks is how many check-backs are looked into at once. Others are left to
// the broker's next question.
const maxChecks = 16

// asked answers a check-back, which may come many times for one half message,
// also for one that has been answered.
func (t *Transactions) asked(conn *remoting.Conn, c remoting.Check) {
	leave, err := t.enter()
	if err != nil {
		return // another instance is asked next
	}
	select {
	case t.checking <- struct{}{}:
	default:
		leave()
		return
	}
	go func() {
		defer leave()
		defer func() { <-t.checking }()
		ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
		defer cancel()
		if err := conn.EndTransaction(t.cfg.Group, c, true, t.checkSafely(ctx, c)); err != nil {
			t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "rocketmq: a check-back could not be answered, the broker will ask again",
				slog.String("group", t.cfg.Group), slog.Any("error", err))
		}
	}()
}

// checkSafely keeps a broken message, or a database's driver, from ending the
// process.
func (t *Transactions) checkSafely(ctx context.Context, c remoting.Check) (o remoting.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelError, "rocketmq: a check-back panicked", slog.String("group", t.cfg.Group),
				slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			o = remoting.Unknown
		}
	}()
	messages := primitive.DecodeMessage(c.Message)
	if len(messages) != 1 {
		return remoting.Unknown
	}
	return t.check(ctx, messages[0])
}

// The answers to a check-back, in metrics.
const (
	answerPending     = "pending"
	answerUnavailable = "unavailable"
	answerForeign     = "foreign"
)

func (t *Transactions) check(ctx context.Context, msg *primitive.MessageExt) remoting.Outcome {
	e := entry{msg.GetProperty(propertyTransaction), msg.GetProperty(propertyID), msg.GetProperty(propertyTopic)}
	log := t.bus.cfg.Logger.With("group", t.cfg.Group, "topic", e.topic, "message", e.messageID)
	began, err := strconv.ParseInt(msg.GetProperty(propertyBegan), 10, 64)
	if err != nil || e.id == "" || msg.GetProperty(propertyLog) != t.log.name {
		// To say "rolled back" would drop a message that another database's
		// transaction has committed.
		log.LogAttrs(ctx, slog.LevelError, "rocketmq: asked about a half message that is not of this database: each database needs a group of its own")
		t.telemetry.checked(ctx, answerForeign)
		return remoting.Unknown
	}
	if t.away.Load() > time.Now().UnixNano() {
		t.telemetry.checked(ctx, answerUnavailable)
		return remoting.Unknown
	}
	s, err := t.outcome(ctx, e, began)
	switch {
	case err == nil && s == TransactionCommitted:
		t.telemetry.checked(ctx, string(resultCommitted))
		return remoting.Commit
	case err == nil && s == TransactionRolledBack:
		t.telemetry.checked(ctx, string(resultRolledBack))
		return remoting.Rollback
	case err == nil, errors.Is(err, errHeldUp):
		t.telemetry.checked(ctx, answerPending)
		return remoting.Unknown
	}
	t.away.Store(time.Now().Add(awayPause).UnixNano())
	log.LogAttrs(ctx, slog.LevelWarn, "rocketmq: the database cannot be asked what became of a business transaction, the broker will ask again", slog.Any("error", err))
	t.telemetry.checked(ctx, answerUnavailable)
	return remoting.Unknown
}

// outcome is what the log says of a transaction; empty before its deadline.
func (t *Transactions) outcome(ctx context.Context, e entry, began int64) (TransactionState, error) {
	s, now, err := t.log.find(ctx, t.log.db, e.id)
	if err != nil || s != "" || now-began < t.cfg.Deadline.Milliseconds() {
		return s, err
	}
	if now-began > (t.cfg.Retention - retentionMargin).Milliseconds() {
		// It may have been committed and swept.
		t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelError, "rocketmq: asked about a half message that is older than what the log keeps",
			slog.String("group", t.cfg.Group), slog.String("topic", e.topic), slog.String("message", e.messageID))
		return "", nil
	}
	return t.log.rollBack(ctx, e)
}

// retentionMargin is more than the clocks of instances differ by.
const retentionMargin = time.Hour
