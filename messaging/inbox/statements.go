package inbox

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
)

// statements are the texts of one dialect. "NOW" in them is the database's time,
// and times are compared by that alone.
type statements struct {
	insertDone, finish     string
	park, repark           string
	look, hold, due, claim string
	read, published        string
	old, sweep, count      string
}

func newStatements(d messaging.Dialect) statements {
	now := func(s string) string { return strings.ReplaceAll(s, "NOW", d.Now()) }
	return statements{
		insertDone: now("INSERT INTO inbox (consumer, message_id, state, tries, due_at, received_at, updated_at) VALUES (?, ?, 1, 1, NOW + ?, NOW, NOW)"),
		finish: now("UPDATE inbox SET state = 1, due_at = NOW + ?, claimed_by = NULL, payload = NULL, metadata = NULL, updated_at = NOW" +
			" WHERE consumer = ? AND message_id = ? AND state = 2 AND claimed_by = ?"),
		// Bytes go as digits: see barrier/mysql on statements that are no text.
		park: now("INSERT INTO inbox (consumer, message_id, state, tries, excused, due_at, topic, payload, metadata, last_error, received_at, parked_at, updated_at)" +
			" VALUES (?, ?, ?, ?, ?, NOW + ?, ?, UNHEX(?), ?, ?, NOW, NOW, NOW)"),
		repark: now("UPDATE inbox SET state = ?, excused = ?, due_at = NOW + ?, last_error = ?, claimed_by = NULL, updated_at = NOW" +
			" WHERE consumer = ? AND message_id = ? AND state = 2 AND claimed_by = ?"),
		look: now("SELECT state, due_at IS NULL, tries, excused, NOW - COALESCE(parked_at, NOW), COALESCE(last_error, '') FROM inbox WHERE consumer = ? AND message_id = ?"),
		hold: now("UPDATE inbox SET claimed_by = ?, tries = tries + 1, updated_at = NOW" +
			" WHERE consumer = ? AND message_id = ? AND state = 2 AND due_at IS NULL AND tries = ?"),
		due: now("SELECT message_id, due_at, due_at - NOW FROM inbox WHERE state = ? AND consumer = ? AND due_at IS NOT NULL ORDER BY due_at LIMIT ?"),
		claim: now("UPDATE inbox SET claimed_by = ?, tries = tries + ?, due_at = NOW + ?, updated_at = NOW" +
			" WHERE consumer = ? AND message_id = ? AND state = ? AND due_at = ?"),
		read: now("SELECT tries, excused, NOW - COALESCE(parked_at, NOW), payload, metadata, COALESCE(last_error, '') FROM inbox" +
			" WHERE consumer = ? AND message_id = ? AND state = ? AND claimed_by = ?"),
		published: now("UPDATE inbox SET due_at = NOW + ?, claimed_by = NULL, updated_at = NOW" +
			" WHERE consumer = ? AND message_id = ? AND state = 3 AND claimed_by = ?"),
		old: now("SELECT message_id FROM inbox WHERE state = 1 AND consumer = ? AND due_at <= NOW ORDER BY due_at LIMIT ?"),
		// The sums keep the database from using the index, in the order of
		// which it would lock more than these rows.
		sweep: now("DELETE FROM inbox WHERE state + 0 = 1 AND due_at + 0 <= NOW AND consumer = ?"),
		count: "SELECT state, COUNT(*) FROM inbox WHERE state IN (2, 3) AND consumer = ? GROUP BY state",
	}
}

// park writes the row of a message that failed in its first run.
func (i *Inbox) park(ctx context.Context, r *run, v verdict) error {
	metadata, err := json.Marshal(r.msg.Metadata)
	if err != nil {
		return fmt.Errorf("encode the metadata: %w", err)
	}
	return i.write(ctx, func() error {
		_, err := i.cfg.DB.ExecContext(ctx, i.sql.park, i.cfg.Consumer, r.id, v.state, r.tries, v.excused, v.due(),
			i.cfg.Topic, hex.EncodeToString(r.msg.Payload), string(metadata), v.reason)
		if isDuplicate(err) {
			return errExists
		}
		return err
	})
}

// repark changes the row of a message that failed again.
func (i *Inbox) repark(ctx context.Context, r *run, v verdict) error {
	return i.update(ctx, i.sql.repark, v.state, v.excused, v.due(), v.reason, i.cfg.Consumer, r.id, r.claim)
}

// update changes one row by a statement of its own; errExists says that the
// row is not held any more.
func (i *Inbox) update(ctx context.Context, query string, args ...any) error {
	return i.write(ctx, func() error {
		res, err := i.cfg.DB.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		return affected(res)
	})
}

// write repeats what the database has undone. A connection that is lost leaves
// open whether it was done: f, run again, finds out, as errExists.
func (i *Inbox) write(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if c := classify(err); err == nil || c == final || n == attempts || pause(ctx, restart(n)) != nil {
			return own(err)
		}
	}
}

// own marks an error as one of the inbox's own statements.
func own(err error) error {
	if err == nil || errors.Is(err, errExists) {
		return err
	}
	return &databaseError{err}
}

func affected(res sql.Result) error {
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		return errExists
	}
	return err
}

// resume looks at the row of a message that is delivered again. It is known,
// and there is nothing to do, unless the row waits for just this delivery: then
// the run holds it. Neither: there is no such row any more.
func (i *Inbox) resume(ctx context.Context, r *run) (known bool, err error) {
	var state State
	var held bool
	var waited int64
	err = i.cfg.DB.QueryRowContext(ctx, i.sql.look, i.cfg.Consumer, r.id).Scan(&state, &held, &r.tries, &r.excused, &waited, &r.reason)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		r.claim, r.tries, r.excused, r.waited = "", 1, 0, 0
		return false, nil
	case err != nil:
		return false, &databaseError{err}
	case state != Parked || !held:
		return true, nil
	}
	r.claim = claimName()
	err = i.update(ctx, i.sql.hold, r.claim, i.cfg.Consumer, r.id, r.tries)
	r.tries++
	r.waited = time.Duration(waited) * time.Millisecond
	if errors.Is(err, errExists) { // another delivery was faster: look again
		err = nil
	}
	return false, err
}

// storedMessage makes a message of a row.
func storedMessage(id string, payload []byte, metadata sql.NullString) (*message.Message, error) {
	msg := message.NewMessage(id, payload)
	if !metadata.Valid {
		return msg, nil
	}
	if err := json.Unmarshal([]byte(metadata.String), &msg.Metadata); err != nil {
		return nil, fmt.Errorf("the metadata of message %s: %w", id, err)
	}
	if msg.Metadata == nil {
		msg.Metadata = make(message.Metadata)
	}
	return msg, nil
}
