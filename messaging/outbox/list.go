package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Row is a message in the outbox.
type Row struct {
	// Seq is its place in the order in which messages were written.
	Seq           int64             `json:"seq"`
	ID            string            `json:"id"`
	Topic         string            `json:"topic"`
	Key           string            `json:"key,omitempty"`
	Ordered       bool              `json:"ordered"`
	State         State             `json:"state"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Size          int               `json:"size"` // bytes of payload and metadata
	ExpectsResult bool              `json:"expects_result"`
	// Tries counts tries of publishing, and once it is Sent how often it was.
	Tries     int    `json:"tries"`
	LastError string `json:"last_error,omitempty"`
	// Claimed says that a relay has it in hand, or died with it a moment ago.
	Claimed bool `json:"claimed"`
	// DueAt is from when a relay may claim it. Zero: it is done, has Failed, or
	// waits for one before it in its order.
	DueAt     time.Time `json:"due_at,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	SettledAt time.Time `json:"settled_at,omitzero"`
}

// ListOptions says which messages to list. The zero value lists all.
type ListOptions struct {
	// States, if there are any, are those of interest; Topic too, unless empty.
	States []State
	Topic  string
	// OlderThan leaves out what was written more recently.
	OlderThan time.Duration
	// Limit is the most messages to return. 0 means 100.
	Limit int
	// After is the Seq after which to go on.
	After int64
}

const rowColumns = "seq, id, topic, COALESCE(message_key, ''), ordered, state, metadata, size, expects_result, tries, COALESCE(last_error, ''), claimed_by <> 0, due_at, created_at, sent_at, settled_at"

// List returns messages in the order in which they were written, without their
// payload.
func (o *Outbox) List(ctx context.Context, opts ListOptions) ([]Row, error) {
	if opts.Limit == 0 {
		opts.Limit = 100
	}
	if opts.Limit < 0 || opts.OlderThan < 0 {
		return nil, fmt.Errorf("outbox: list: a limit of %d, an age of %s", opts.Limit, opts.OlderThan)
	}
	where, args := "seq > ? AND created_at <= "+o.sql.in(-opts.OlderThan), []any{opts.After}
	if len(opts.States) > 0 {
		where += " AND state IN (?" + strings.Repeat(", ?", len(opts.States)-1) + ")"
		for _, s := range opts.States {
			args = append(args, string(s))
		}
	}
	if opts.Topic != "" {
		where, args = where+" AND topic = ?", append(args, opts.Topic)
	}
	rows, err := o.cfg.DB.QueryContext(ctx, "SELECT "+rowColumns+" FROM outbox WHERE "+where+" ORDER BY seq LIMIT ?", append(args, opts.Limit)...)
	if err != nil {
		return nil, wrap("list", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Row
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, wrap("list", err)
		}
		out = append(out, r)
	}
	return out, wrap("list", rows.Err())
}

// ErrNotFound says that no message has the id.
var ErrNotFound = errors.New("outbox: there is no such message")

// Get returns a message and its payload, or [ErrNotFound].
func (o *Outbox) Get(ctx context.Context, id string) (Row, []byte, error) {
	var payload []byte
	r, err := scanRow(o.cfg.DB.QueryRowContext(ctx, "SELECT "+rowColumns+", payload FROM outbox WHERE id = ?", id), &payload)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	return r, payload, wrap("get "+id, err)
}

func scanRow(from interface{ Scan(into ...any) error }, more ...any) (Row, error) {
	var r Row
	var header []byte
	var due, created, sent, settled int64
	into := []any{
		&r.Seq, &r.ID, &r.Topic, &r.Key, &r.Ordered, &r.State, &header, &r.Size, &r.ExpectsResult, &r.Tries, &r.LastError, &r.Claimed,
		&due, &created, &sent, &settled,
	}
	if err := from.Scan(append(into, more...)...); err != nil {
		return r, err
	}
	r.DueAt, r.CreatedAt, r.SentAt, r.SettledAt = at(due), at(created), at(sent), at(settled)
	return r, json.Unmarshal(header, &r.Metadata)
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// retriable is what a person may have published again. What the receiver has
// answered is not: it knows the id, and would not work on it a second time.
const retriable = " settled_at = 0 AND (state = 'FAILED' OR (state = 'SENT' AND expects_result = 1))"

// chunk bounds the ids of one statement.
const chunk = 500

// Retry has messages published again that have Failed, or whose result is
// awaited: they are New and due at once, with all their tries before them. It
// returns how many that were; others, also those that the receiver has answered,
// it leaves as they are.
func (o *Outbox) Retry(ctx context.Context, ids ...string) (int, error) {
	if len(ids) == 0 {
		return 0, errors.New("outbox: retry: no id is given")
	}
	total := 0
	for c := range slices.Chunk(ids, chunk) {
		args := make([]any, len(c))
		for i, id := range c {
			args[i] = id
		}
		n, err := o.retry(ctx, "id IN (?"+strings.Repeat(", ?", len(c)-1)+")", args...)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// RetryAll is Retry for all messages of a topic that have Failed; of every topic
// if that is empty.
func (o *Outbox) RetryAll(ctx context.Context, topic string) (int, error) {
	total, after := 0, int64(0)
	for {
		failed, err := numbers(o.cfg.DB.QueryContext(ctx, "SELECT seq FROM outbox WHERE state = 'FAILED' AND settled_at = 0 AND (? = '' OR topic = ?) AND seq > ? ORDER BY seq LIMIT ?", topic, topic, after, chunk))
		if err != nil || len(failed) == 0 {
			return total, wrap("retry", err)
		}
		after = failed[len(failed)-1] // what fails again meanwhile is not tried for ever
		n, err := o.retry(ctx, "seq IN "+list(failed))
		total += n
		if err != nil {
			return total, err
		}
	}
}

func (o *Outbox) retry(ctx context.Context, which string, args ...any) (int, error) {
	res, err := o.cfg.DB.ExecContext(ctx, "UPDATE outbox SET state = 'NEW', tries = 0, due_at = "+o.sql.Now()+", claimed_by = 0, claimed_until = 0 WHERE "+which+" AND"+retriable, args...)
	if err != nil {
		return 0, wrap("retry", err)
	}
	o.Wake()
	n, err := res.RowsAffected()
	return int(n), wrap("retry", err)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("outbox: %s: %w", what, err)
}
