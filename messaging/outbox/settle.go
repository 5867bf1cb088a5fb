package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"unicode"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
)

// Result is what the receiver of a message made of it.
type Result struct {
	// ID, Topic, Key and Payload are those of the message.
	ID, Topic, Key string
	Payload        []byte
	// Failed says that the receiver could not do it, Reason why.
	Failed bool
	Reason string
}

// maxReason limits the bytes of a reason.
const maxReason = 1 << 10

// ResultOf returns the result of msg for its sender, to be written to the
// receiver's own outbox in the transaction of its work. It returns false if
// the sender expects none.
func ResultOf(msg *message.Message, failed bool, reason string) (Message, bool) {
	topic := msg.Metadata.Get(messaging.MetadataResultTopic)
	if topic == "" || msg.UUID == "" {
		return Message{}, false
	}
	m := Message{Topic: topic, reserved: map[string]string{messaging.MetadataResultOf: msg.UUID, messaging.MetadataOutcome: string(StateConfirmed)}}
	if failed {
		m.reserved[messaging.MetadataOutcome] = string(StateFailed)
		m.reserved[messaging.MetadataReason] = cut(strings.Map(noControl, reason), maxReason)
	}
	return m, true
}

func noControl(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// cut shortens s to n bytes of valid UTF-8.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// Settle takes a message of the result topic, in the transaction of the inbox
// that received it, and makes the message that it is about [StateConfirmed] or
// [StateFailed]. It does so once: it returns false for a result of a message that
// is settled already or not known (any more), of which nothing is to be done.
// One that comes after the message was given up counts too.
//
// A message that is no result is an error that wraps messaging.ErrPermanent.
func (o *Outbox) Settle(ctx context.Context, tx messaging.Tx, result *message.Message) (Result, bool, error) {
	id := result.Metadata.Get(messaging.MetadataResultOf)
	outcome := State(result.Metadata.Get(messaging.MetadataOutcome))
	if id == "" || outcome != StateConfirmed && outcome != StateFailed {
		return Result{}, false, messaging.Permanent(fmt.Errorf("outbox: message %.80q is no result: it has no %s, or a %s that is neither %s nor %s",
			result.UUID, messaging.MetadataResultOf, messaging.MetadataOutcome, StateConfirmed, StateFailed))
	}
	res := Result{ID: id, Failed: outcome == StateFailed, Reason: result.Metadata.Get(messaging.MetadataReason)}
	var why any
	if res.Failed {
		why = res.Reason
	}
	// A relay that holds the message just now finds its claim gone.
	done, err := tx.ExecContext(ctx, "UPDATE outbox SET state = ?, settled_at = "+o.sql.Now()+", due_at = 0, claimed_by = 0, lane = 0, last_error = ?"+
		" WHERE id = ? AND expects_result = 1 AND settled_at = 0", string(outcome), why, id)
	if err != nil {
		return Result{}, false, fmt.Errorf("outbox: settle %s: %w", id, err)
	}
	if n, err := done.RowsAffected(); n == 0 || err != nil {
		return Result{}, false, err
	}
	var key sql.NullString
	if err := tx.QueryRowContext(ctx, "SELECT topic, message_key, payload FROM outbox WHERE id = ?", id).Scan(&res.Topic, &key, &res.Payload); err != nil {
		return Result{}, false, fmt.Errorf("outbox: read %s: %w", id, err)
	}
	res.Key = key.String
	if c, ok := tx.(messaging.Committer); ok {
		c.AfterCommit(func() { o.telemetry.settled(context.WithoutCancel(ctx), res.Failed) })
	} else {
		o.telemetry.settled(ctx, res.Failed)
	}
	return res, true, nil
}
