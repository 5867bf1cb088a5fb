package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/outbox"
)

// reads is how many rows the server has read for the only connection of a
// MySQL database so far.
func (b *box) reads() (n int) {
	b.t.Helper()
	rows, err := b.db.QueryContext(b.t.Context(), "SHOW SESSION STATUS LIKE 'Handler_read%'")
	require.NoError(b.t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		var value int
		require.NoError(b.t, rows.Scan(&name, &value))
		n += value
	}
	require.NoError(b.t, rows.Err())
	return n
}

// Messages that are done are kept for days: what looks for work must not read
// them, whatever the server makes of its statements.
func TestRelaysReadNothingThatIsDone(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		const done, topics = 3000, 3
		values := make([]string, done)
		for i := range values {
			values[i] = fmt.Sprintf("('done-%d', 'topic.%d', 0, 0, 2, 1, 'SENT', 1, 0, 0, 0, 0, 1, 0, '{}', x'')", i, i%topics)
		}
		b.exec("INSERT INTO outbox (id, topic, ordered, expects_result, size, created_at, state, tries, due_at, claimed_by, claimed_until, lane, sent_at, settled_at, metadata, payload) VALUES " + strings.Join(values, ", "))
		b.write(outbox.Message{Topic: "topic.1"}, outbox.Message{Topic: "topic.2"})

		b.db.SetMaxOpenConns(1)
		var before int
		if b.dialect == "mysql" {
			before = b.reads()
		}
		require.Equal(t, []string{"NEW topic.1", "NEW topic.2"}, outbox.Queues(t.Context(), t, b.Outbox))
		if b.dialect == "mysql" {
			require.Less(t, b.reads()-before, 100, "rows read")
		}
	})
}

func TestATopicIsKnownAsSoonAsItIsWritten(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		require.Empty(t, outbox.Queues(t.Context(), t, b.Outbox), "the table was looked through just now")
		b.tx(func(tx *sql.Tx) { require.NoError(t, b.Write(t.Context(), tx, outbox.Message{Topic: "new"})) })
		require.Equal(t, []string{"NEW new"}, outbox.Queues(t.Context(), t, b.Outbox))
	})
}

func TestTopicsOfOtherProcessesAreFound(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		other, err := outbox.New(t.Context(), b.config())
		require.NoError(t, err)
		require.Empty(t, outbox.Queues(t.Context(), t, other))
		b.write(outbox.Message{Topic: "a"}, outbox.Message{Topic: "b"})
		await(t, func() bool { return len(outbox.Queues(t.Context(), t, other)) == 2 }, nil)
	})
}

// All connections may be with those who write: a relay that waits for one must
// not have them wait for the relay.
func TestWritersDoNotWaitForARelay(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		b.db.SetMaxOpenConns(1)
		tx, err := b.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		looked := make(chan []string, 1)
		go func() { looked <- outbox.Queues(context.WithoutCancel(t.Context()), t, b.Outbox) }()
		await(t, func() bool { return b.db.Stats().WaitCount > 0 }, nil)
		written := make(chan error, 1)
		go func() { written <- b.Write(t.Context(), tx, outbox.Message{Topic: "a"}) }()
		select {
		case err := <-written:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("the writer waits for the relay, which waits for the writer's connection")
		}
		require.NoError(t, tx.Commit())
		require.Equal(t, []string{"NEW a"}, <-looked)
	})
}
