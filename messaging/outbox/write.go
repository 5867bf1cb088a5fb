package outbox

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/messaging"
)

// maxInsert bounds the payloads of one INSERT: in digits, with 4 MiB more, it
// must fit into a server's max_allowed_packet (16 MiB on MariaDB). rowsPerInsert
// bounds its arguments.
const (
	maxInsert     = 2 << 20
	rowsPerInsert = 256
)

// Write writes messages in the transaction of the business change: they are
// published if it commits, and only then. The trace context of ctx goes with
// them.
//
// In a barrier.Tx they are queued, with the last of its keyed statements, so
// that a branch which queues its business too shares its transaction with
// others. There, and in any other messaging.Committer, the relays of this
// process are woken at the commit; with a *sql.Tx call [Outbox.Wake] after it,
// or they see the messages at their next poll.
//
// An error for a message that cannot be sent is returned before anything is
// written. An id that was written before fails the statement: here, or in a
// barrier.Tx when that runs.
func (o *Outbox) Write(ctx context.Context, tx messaging.Tx, msgs ...Message) error {
	if tx == nil {
		return errors.New("outbox: no transaction is given to write in")
	}
	if len(msgs) == 0 {
		return nil
	}
	trace := propagation.MapCarrier{}
	o.cfg.Propagator.Inject(ctx, trace)
	rows := make([]row, len(msgs))
	for i := range msgs {
		var err error
		if rows[i], err = o.row(&msgs[i], trace); err != nil {
			return fmt.Errorf("outbox: message %d of %d: %w", i+1, len(msgs), err)
		}
	}
	if err := o.insertAll(ctx, tx, rows); err != nil {
		return fmt.Errorf("outbox: write %d messages: %w", len(msgs), err)
	}
	for i := range msgs {
		o.topics.wrote(msgs[i].Topic)
	}
	if c, ok := tx.(messaging.Committer); ok {
		c.AfterCommit(o.Wake)
	}
	return nil
}

// row is a message as the table has it.
type row struct {
	args []any
	size int
	// lock is the key of a barrier's statement: see lastKey.
	lock string
}

func (o *Outbox) row(m *Message, trace map[string]string) (row, error) {
	if err := m.validate(o.cfg.ResultTopic); err != nil {
		return row{}, err
	}
	metadata, size, err := m.headers(trace, o.cfg.ResultTopic)
	if err != nil {
		return row{}, err
	}
	header, err := json.Marshal(metadata)
	if err != nil {
		return row{}, err
	}
	id, err := m.id()
	if err != nil {
		return row{}, err
	}
	size += len(m.Payload)
	r := row{size: size, lock: lastKey + id}
	lane := m.lane()
	if m.Ordered {
		r.lock = lastKey + strconv.FormatInt(lane, 10)
	}
	var key any
	if m.Key != "" {
		key = m.Key
	}
	r.args = []any{id, m.Topic, key, number(m.Ordered), number(m.ExpectResult), size, m.Delay.Milliseconds(), lane, string(header), o.payload(m.Payload)}
	return r, nil
}

// payload is the argument for dialect.bytes.
func (o *Outbox) payload(p []byte) any {
	if o.cfg.Dialect == messaging.MySQL {
		return hex.EncodeToString(p)
	}
	return append([]byte{}, p...) // nil would be NULL
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// lastKey begins the keys of the barrier's statements, and sorts them behind
// the business: who waits for its row must not have a place in the order yet.
// Behind it comes what no branch waits for in vain, a lane or an id. Messages of
// one lane have the same key and the same text, which keeps their order.
const lastKey = "\U0010FFFFoutbox/"

// insertAll inserts rows in as few statements as their size permits.
func (o *Outbox) insertAll(ctx context.Context, tx messaging.Tx, rows []row) error {
	if b, ok := tx.(barrier.Tx); ok {
		for _, r := range rows {
			b.Queue(barrier.Stmt{Query: o.insert(1), Args: r.args, Key: r.lock, Rows: 1})
		}
		return nil
	}
	for len(rows) > 0 {
		n, bytes := 1, rows[0].size
		for n < len(rows) && n < rowsPerInsert && bytes+rows[n].size <= maxInsert {
			bytes += rows[n].size
			n++
		}
		args := make([]any, 0, n*len(rows[0].args))
		for _, r := range rows[:n] {
			args = append(args, r.args...)
		}
		if _, err := tx.ExecContext(ctx, o.insert(n), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// insert is the statement for n rows.
func (o *Outbox) insert(n int) string {
	now := o.sql.Now()
	values := "(?, ?, ?, ?, ?, ?, " + now + ", 'NEW', 0, " + now + " + ?, 0, 0, ?, 0, 0, ?, " + o.sql.bytes() + ")"
	return "INSERT INTO outbox (id, topic, message_key, ordered, expects_result, size, created_at, state, tries, due_at, claimed_by, claimed_until, lane, sent_at, settled_at, metadata, payload) VALUES " +
		values + strings.Repeat(", "+values, n-1)
}
