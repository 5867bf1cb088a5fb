package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tcckit/tcckit/messaging"
)

// ErrNotFound says that the consumer has no row of that message.
var ErrNotFound = errors.New("inbox: no such message")

// Row is a message's row.
type Row struct {
	Consumer  string
	MessageID string
	State     State
	// Tries is how often the message was run, Excused how many of them do not
	// count towards MaxTries.
	Tries   int
	Excused int
	// Due is when it is tried again if it is Parked, when the dead letter is
	// published if it is Dead, and when the row is deleted if it is Done. Zero:
	// it waits for the broker to deliver it again, or the dead letter was
	// published, or there is no topic for it.
	Due time.Time
	// Claimed reports whether a process is at it, until Due at most.
	Claimed bool
	Topic   string
	// Size is that of the payload in bytes.
	Size int64
	// Payload and Metadata are those of the message, read by [Get] alone. A
	// message that is Done has none.
	Payload  []byte
	Metadata map[string]string
	// LastError is what its last failed try met.
	LastError string
	// Received is when the row was written, Parked when the message first
	// failed, or was replayed; Updated when it last changed.
	Received time.Time
	Parked   time.Time
	Updated  time.Time
}

// ListOptions says which rows to list.
type ListOptions struct {
	// Consumer is whose; empty: everybody's.
	Consumer string
	// States are those of interest. None means Parked and Dead.
	States []State
	// Limit is the most rows to return. 0 means 100.
	Limit int
	// After is the row after which to go on, the zero value to begin.
	After Row
}

const columns = "consumer, message_id, state, tries, excused, due_at, claimed_by IS NOT NULL, COALESCE(topic, ''), COALESCE(LENGTH(payload), 0), COALESCE(last_error, ''), received_at, parked_at, updated_at"

// List returns rows, in order of consumer and message id, without their
// payloads.
func List(ctx context.Context, db *sql.DB, d messaging.Dialect, opts ListOptions) (list []Row, err error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if opts.Limit == 0 {
		opts.Limit = 100
	}
	if opts.Limit < 0 {
		return nil, fmt.Errorf("inbox: a limit of %d", opts.Limit)
	}
	if len(opts.States) == 0 {
		opts.States = []State{Parked, Dead}
	}
	var args []any
	for _, s := range opts.States {
		args = append(args, s)
	}
	query := "SELECT " + columns + " FROM inbox WHERE state IN (?" + strings.Repeat(", ?", len(opts.States)-1) + ")"
	if opts.Consumer != "" {
		query += " AND consumer = ?"
		args = append(args, opts.Consumer)
	}
	if opts.After.Consumer != "" {
		query += " AND (consumer > ? OR (consumer = ? AND message_id > ?))"
		args = append(args, opts.After.Consumer, opts.After.Consumer, opts.After.MessageID)
	}
	rows, err := db.QueryContext(ctx, query+" ORDER BY consumer, message_id LIMIT ?", append(args, opts.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("inbox: list: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("inbox: list: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// Get returns one row with its message, or [ErrNotFound].
func Get(ctx context.Context, db *sql.DB, d messaging.Dialect, consumer, id string) (Row, error) {
	if err := d.Validate(); err != nil {
		return Row{}, err
	}
	var payload []byte
	var metadata sql.NullString
	r, err := scan(db.QueryRowContext(ctx, "SELECT "+columns+", payload, metadata FROM inbox WHERE consumer = ? AND message_id = ?", consumer, id).Scan, &payload, &metadata)
	if errors.Is(err, sql.ErrNoRows) {
		return Row{}, fmt.Errorf("%w: consumer %q, id %q", ErrNotFound, consumer, id)
	}
	if err != nil {
		return Row{}, fmt.Errorf("inbox: get: %w", err)
	}
	msg, err := storedMessage(id, payload, metadata)
	if err != nil {
		return Row{}, fmt.Errorf("inbox: get: %w", err)
	}
	r.Payload, r.Metadata = msg.Payload, msg.Metadata
	return r, nil
}

// scan reads the columns and what follows them.
func scan(scan func(...any) error, more ...any) (Row, error) {
	var r Row
	var due, parked sql.NullInt64
	var received, updated int64
	err := scan(append([]any{
		&r.Consumer, &r.MessageID, &r.State, &r.Tries, &r.Excused, &due, &r.Claimed, &r.Topic, &r.Size, &r.LastError, &received, &parked, &updated,
	}, more...)...)
	if err != nil {
		return Row{}, err
	}
	r.Due, r.Parked = timeOrZero(due), timeOrZero(parked)
	r.Received, r.Updated = time.UnixMilli(received), time.UnixMilli(updated)
	return r, nil
}

func timeOrZero(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64)
}

// Replay has messages tried again that are dead or parked, at once and with all
// their tries, by the [Inbox.Run] of any process of the consumer. It returns how
// many are; those that are done, or unknown, are passed over.
func Replay(ctx context.Context, db *sql.DB, d messaging.Dialect, consumer string, ids ...string) (n int, err error) {
	if err := d.Validate(); err != nil {
		return 0, err
	}
	query := strings.ReplaceAll("UPDATE inbox SET state = 2, tries = 0, excused = 0, due_at = NOW, parked_at = NOW, claimed_by = NULL, updated_at = NOW"+
		" WHERE consumer = ? AND message_id = ? AND state IN (2, 3)", "NOW", d.Now())
	for _, id := range ids {
		res, err := db.ExecContext(ctx, query, consumer, id)
		if err != nil {
			return n, fmt.Errorf("inbox: replay %s: %w", id, err)
		}
		changed, err := res.RowsAffected()
		if err != nil {
			return n, fmt.Errorf("inbox: replay %s: %w", id, err)
		}
		n += int(changed)
	}
	return n, nil
}
