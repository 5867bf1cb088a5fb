package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// patience bounds every wait for something that usually takes milliseconds.
const patience = 30 * time.Second

// box is an outbox in a database of its own, beside a business of one table.
type box struct {
	*outbox.Outbox
	t       testing.TB
	kind    databasetest.Kind
	dialect messaging.Dialect
	dsn     string // of the driver, or the path of a SQLite file
	db      *sql.DB
}

// each runs a test with an outbox in each kind of database.
func each(t *testing.T, test func(t *testing.T, b *box)) {
	t.Helper()
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, newBox(t, kind))
		})
	}
}

func newBox(t testing.TB, kind databasetest.Kind) *box {
	t.Helper()
	b := &box{t: t, kind: kind, dialect: messaging.MySQL}
	var err error
	if kind == databasetest.SQLite {
		b.dialect, b.dsn = messaging.SQLite, filepath.Join(t.TempDir(), "test.db")
		b.db, err = sqlite.OpenDB(b.dsn)
	} else {
		b.dsn = databasetest.DSN(t, kind)
		b.db, err = sql.Open("mysql", b.dsn)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.db.Close()) })
	b.exec("CREATE TABLE business (id VARCHAR(64) NOT NULL PRIMARY KEY, n INTEGER NOT NULL)")
	b.exec(outbox.Schema(b.dialect))
	b.Outbox, err = outbox.New(t.Context(), b.config())
	require.NoError(t, err)
	return b
}

func (b *box) config() outbox.Config {
	return outbox.Config{DB: b.db, Dialect: b.dialect, ResultTopic: "results", Logger: databasetest.Logger(b.t)}
}

// barrier opens a store of branches in the database.
func (b *box) barrier() barrier.Store {
	b.t.Helper()
	if b.kind == databasetest.SQLite {
		b.exec(sqlite.Schema)
		store, err := sqlite.New(b.t.Context(), b.db, sqlite.Options{})
		require.NoError(b.t, err)
		return store
	}
	b.exec(mysql.Schema)
	cfg, err := mysqldriver.ParseDSN(b.dsn)
	require.NoError(b.t, err)
	store, err := mysql.Open(b.t.Context(), cfg, mysql.Options{})
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, store.Close()) })
	return store
}

// tx runs work in a transaction, which it commits.
func (b *box) tx(work func(tx *sql.Tx)) {
	b.t.Helper()
	var tx *sql.Tx
	var err error
	await(b.t, func() bool { // SQLite's lock is not fair
		tx, err = b.db.BeginTx(b.t.Context(), nil)
		return err == nil
	}, &err)
	defer func() { _ = tx.Rollback() }()
	work(tx)
	require.NoError(b.t, tx.Commit())
}

// write commits messages.
func (b *box) write(msgs ...outbox.Message) {
	b.t.Helper()
	b.tx(func(tx *sql.Tx) { require.NoError(b.t, b.Write(b.t.Context(), tx, msgs...)) })
	b.Wake()
}

// exec runs a statement.
func (b *box) exec(query string, args ...any) {
	b.t.Helper()
	_, err := b.db.ExecContext(b.t.Context(), query, args...)
	require.NoError(b.t, err)
}

// number reads one.
func (b *box) number(query string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.db.QueryRowContext(b.t.Context(), query, args...).Scan(&n))
	return n
}

// get returns a message that must be there.
func (b *box) get(id string) outbox.Row {
	b.t.Helper()
	row, _, err := b.Get(b.t.Context(), id)
	require.NoError(b.t, err)
	return row
}

// await waits until a message is as wanted, and returns it.
func (b *box) await(id string, want func(r outbox.Row) bool) outbox.Row {
	b.t.Helper()
	var last outbox.Row
	await(b.t, func() bool { last = b.get(id); return want(last) }, &last)
	return last
}

func (b *box) awaitState(id string, want outbox.State) outbox.Row {
	b.t.Helper()
	return b.await(id, func(r outbox.Row) bool { return r.State == want })
}

// idle waits until nothing is to be published any more.
func (b *box) idle() {
	b.t.Helper()
	var last outbox.Stats
	await(b.t, func() bool {
		var err error
		last, err = b.Stats(b.t.Context())
		require.NoError(b.t, err)
		return last.New == 0
	}, &last)
}

// await polls a condition; if it is not met in time it shows what there was.
func await(t testing.TB, met func() bool, last any) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !met(); <-tick.C {
		require.Less(t, time.Now(), end, "not so within %s: %+v", patience, last)
	}
}

// relay runs a relay that is in more of a hurry than usual, and returns what
// stops it, as the end of the test does.
func (b *box) relay(p message.Publisher, change ...func(c *outbox.RelayConfig)) (stop func()) {
	b.t.Helper()
	cfg := outbox.RelayConfig{
		Outbox: b.Outbox, Publisher: p, Poll: 20 * time.Millisecond, Lease: 20 * time.Second, MaxTries: 4,
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, ResultTimeout: time.Hour,
		StatsInterval: 50 * time.Millisecond, SweepInterval: 50 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	r, err := outbox.NewRelay(cfg)
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	var task sync.WaitGroup
	task.Go(func() { r.Run(ctx) })
	stop = func() { cancel(); task.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// broker is a publisher that keeps what it gets, unless refuse says no.
type broker struct {
	refuse func(topic string, msgs []*message.Message) error

	mu    sync.Mutex
	calls int
	got   []*message.Message
}

// Publish implements message.Publisher.
func (p *broker) Publish(topic string, msgs ...*message.Message) error {
	p.mu.Lock()
	p.calls++
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != nil {
		if err := refuse(topic, msgs); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, msgs...)
	return nil
}

// Close implements message.Publisher.
func (p *broker) Close() error { return nil }

func (p *broker) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = nil
}

func (p *broker) messages() []*message.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *broker) called() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// ids are those of what it got, in order.
func (p *broker) ids() []string {
	var out []string
	for _, m := range p.messages() {
		out = append(out, m.UUID)
	}
	return out
}

// awaitIDs waits until it has so many messages.
func (p *broker) awaitIDs(t testing.TB, n int) []string {
	t.Helper()
	var last []string
	await(t, func() bool { last = p.ids(); return len(last) >= n }, &last)
	return last
}

// numbered are messages with ids from a prefix and a number.
func numbered(prefix string, n int, like outbox.Message) []outbox.Message {
	out := make([]outbox.Message, n)
	for i := range out {
		out[i] = like
		out[i].ID = fmt.Sprintf("%s-%05d", prefix, i)
	}
	return out
}

func idsOf(msgs []outbox.Message) []string {
	out := make([]string, len(msgs))
	for i, m := range msgs {
		out[i] = m.ID
	}
	return out
}
