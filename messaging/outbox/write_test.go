package outbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/tcc"
)

func TestWriteCarriesEverything(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		cfg := b.config()
		cfg.Propagator = propagation.TraceContext{}
		o, err := outbox.New(t.Context(), cfg)
		require.NoError(t, err)
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
		b.tx(func(tx *sql.Tx) {
			require.NoError(t, o.Write(trace.ContextWithSpanContext(t.Context(), span), tx,
				outbox.Message{ID: "one", Topic: "orders", Key: "k'ü\"?\\", Payload: every, Metadata: map[string]string{"héad": "välue ?' \\", "empty": "", messaging.MetadataTag: "blue"}, ExpectResult: true},
				outbox.Message{Topic: "orders"},
				outbox.Message{ID: "big", Topic: "orders", Payload: bytes.Repeat([]byte{0xff, 0, '\''}, outbox.MaxPayload/3)},
			))
		})
		p := &broker{}
		b.relay(p)
		p.awaitIDs(t, 3)
		got := p.messages()
		require.Equal(t, "one", got[0].UUID)
		require.Equal(t, every, []byte(got[0].Payload))
		require.Equal(t, map[string]string{
			"héad": "välue ?' \\", "empty": "", messaging.MetadataTag: "blue", messaging.MetadataKey: "k'ü\"?\\", messaging.MetadataResultTopic: "results",
			"traceparent": "00-01000000000000000000000000000000-0200000000000000-01",
		}, map[string]string(got[0].Metadata))
		require.Len(t, got[1].UUID, 36, "a UUID")
		require.Equal(t, byte('7'), got[1].UUID[14], "of version 7")
		require.Empty(t, got[1].Payload)
		require.Len(t, got[2].Payload, outbox.MaxPayload/3*3)

		row, payload, err := b.Get(t.Context(), "one")
		require.NoError(t, err)
		require.Equal(t, every, payload)
		require.True(t, row.ExpectsResult)
		_, _, err = b.Get(t.Context(), "none")
		require.ErrorIs(t, err, outbox.ErrNotFound)
	})
}

func TestWriteRefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	b := newBox(t, databasetest.SQLite)
	cfg := b.config()
	cfg.ResultTopic = ""
	o, err := outbox.New(t.Context(), cfg)
	require.NoError(t, err)
	for _, c := range []struct {
		want string
		m    outbox.Message
	}{
		{"it has no topic", outbox.Message{}},
		{"the topic", outbox.Message{Topic: "a b"}},
		{"the topic", outbox.Message{Topic: strings.Repeat("a", 256)}},
		{"the id", outbox.Message{Topic: "t", ID: strings.Repeat("a", 65)}},
		{"the key", outbox.Message{Topic: "t", Key: "a\x01"}},
		{"the key", outbox.Message{Topic: "t", Key: "\xff"}},
		{"no key to be ordered by", outbox.Message{Topic: "t", Ordered: true}},
		{"a payload of", outbox.Message{Topic: "t", Payload: make([]byte, outbox.MaxPayload+1)}},
		{"a delay of", outbox.Message{Topic: "t", Delay: -time.Second}},
		{"Config.ResultTopic", outbox.Message{Topic: "t", ExpectResult: true}},
		{"is reserved", outbox.Message{Topic: "t", Metadata: map[string]string{messaging.MetadataResultOf: "x"}}},
		{"the metadata", outbox.Message{Topic: "t", Metadata: map[string]string{"a": "\x02"}}},
		{"the metadata", outbox.Message{Topic: "t", Metadata: map[string]string{"": "a"}}},
		{"too long", outbox.Message{Topic: "t", Metadata: map[string]string{"a": strings.Repeat("a", outbox.MaxMetadata)}}},
	} {
		b.tx(func(tx *sql.Tx) {
			err := o.Write(t.Context(), tx, outbox.Message{Topic: "fine"}, c.m)
			require.ErrorContains(t, err, "message 2 of 2")
			require.ErrorContains(t, err, c.want)
		})
	}
	require.Zero(t, b.number("SELECT COUNT(*) FROM outbox"), "nothing is written before all was looked at")
	require.ErrorContains(t, o.Write(t.Context(), nil, outbox.Message{Topic: "t"}), "no transaction")
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBox(t, databasetest.SQLite)
	_, err := outbox.New(t.Context(), outbox.Config{Dialect: messaging.SQLite})
	require.ErrorContains(t, err, "no DB")
	_, err = outbox.New(t.Context(), outbox.Config{DB: b.db, Dialect: "oracle"})
	require.ErrorContains(t, err, "oracle")
	b.exec("DROP TABLE outbox")
	_, err = outbox.New(t.Context(), b.config())
	require.ErrorContains(t, err, "tcckit migrate")
	_, err = outbox.NewRelay(outbox.RelayConfig{Outbox: b.Outbox})
	require.ErrorContains(t, err, "no Publisher")
	_, err = outbox.NewRelay(outbox.RelayConfig{Outbox: b.Outbox, Publisher: &broker{}, Lease: time.Millisecond})
	require.ErrorContains(t, err, "a lease of 1ms")
}

// A message exists if its transaction committed.
func TestWriteIsPartOfTheTransaction(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		tx, err := b.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, b.Write(t.Context(), tx, outbox.Message{ID: "undone", Topic: "t"}))
		require.NoError(t, tx.Rollback())
		b.write(outbox.Message{ID: "done", Topic: "t"})
		p := &broker{}
		b.relay(p)
		b.idle()
		require.Equal(t, []string{"done"}, p.ids())
	})
}

// In branches the messages are queued: many branches commit together, with
// their messages, and one that is rejected leaves none.
func TestWriteInBranches(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		store := b.barrier()
		b.exec("INSERT INTO business VALUES ('left', 30)")
		p := &broker{}
		b.relay(p, func(c *outbox.RelayConfig) { c.Poll = time.Hour }) // they are woken
		const callers, amount = 40, 1
		var rejected, done sync.Map
		var tasks sync.WaitGroup
		for i := range callers {
			tasks.Go(func() {
				id := fmt.Sprintf("g%02d", i)
				err := try(t.Context(), store, id, func(tx barrier.Tx) error {
					tx.Queue(barrier.Stmt{
						Query: "UPDATE business SET n = n - ? WHERE id = 'left' AND n >= ?", Args: []any{amount, amount}, Key: "business/left", Rows: 1,
						Otherwise: func(context.Context, barrier.Tx) error { return tcc.Reject("NONE_LEFT", "none is left", nil) },
					})
					for _, m := range []string{"-b", "-a", "-c"} {
						if err := b.Write(t.Context(), tx, outbox.Message{ID: id + m, Topic: "sold", Key: id, Ordered: true}); err != nil {
							return err
						}
					}
					return nil
				})
				var r *tcc.Rejection
				if errors.As(err, &r) {
					rejected.Store(id, true)
				} else if err == nil {
					done.Store(id, true)
				}
			})
		}
		tasks.Wait()
		got := p.awaitIDs(t, 90)
		b.idle()
		require.Len(t, got, 90)
		require.Equal(t, 0, b.number("SELECT n FROM business WHERE id = 'left'"))
		require.Equal(t, 30, size(&done))
		require.Equal(t, 10, size(&rejected))
		of := map[string]string{}
		for _, id := range got {
			g, m, _ := strings.Cut(id, "-")
			of[g] += m
		}
		for g, order := range of {
			_, ok := done.Load(g)
			require.True(t, ok, "%s was not committed", g)
			require.Equal(t, "bac", order, "the order in which they were written")
		}
	})
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// try runs a Try.
func try(ctx context.Context, store barrier.Store, gid string, work func(tx barrier.Tx) error) error {
	_, err := store.Do(ctx, barrier.Call{Branch: tcc.Branch{GID: gid, ID: "01", Phase: tcc.Try, Method: "/a.B/TryC"}},
		func(_ context.Context, tx barrier.Tx) ([]byte, error) { return nil, work(tx) })
	return err
}

// An id that is there already fails the branch, and nothing of it stays.
func TestWriteOfAnIDThatIsThere(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		store := b.barrier()
		b.write(outbox.Message{ID: "once", Topic: "t"})
		err := try(t.Context(), store, "g", func(tx barrier.Tx) error {
			tx.Queue(barrier.Stmt{Query: "INSERT INTO business VALUES ('b', 1)", Key: "business/b", Rows: 1})
			return b.Write(t.Context(), tx, outbox.Message{ID: "once", Topic: "t"})
		})
		require.Error(t, err)
		require.Zero(t, b.number("SELECT COUNT(*) FROM business"))
		tx, err := b.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.Error(t, b.Write(t.Context(), tx, outbox.Message{ID: "once", Topic: "t"}))
		require.NoError(t, tx.Rollback())
	})
}

func TestDelay(t *testing.T) {
	each(t, func(t *testing.T, b *box) {
		const delay = 300 * time.Millisecond
		p := &broker{}
		b.relay(p, func(c *outbox.RelayConfig) { c.Poll = time.Hour })
		began := time.Now()
		b.write(outbox.Message{ID: "later", Topic: "t", Delay: delay}, outbox.Message{ID: "now", Topic: "t"}, outbox.Message{ID: "never", Topic: "t", Delay: time.Hour})
		b.awaitState("later", outbox.StateSent)
		require.GreaterOrEqual(t, time.Since(began), delay)
		require.ElementsMatch(t, []string{"now", "later"}, p.awaitIDs(t, 2))
	})
}
