package inbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// kind is a kind of database.
type kind string

const (
	onSQLite  kind = "sqlite"
	onMySQL   kind = "mysql"
	onMariaDB kind = "mariadb"
)

func (k kind) dialect() messaging.Dialect {
	if k == onSQLite {
		return messaging.SQLite
	}
	return messaging.MySQL
}

// source names an empty database: a file's path or a DSN.
func (k kind) source(t testing.TB) string {
	t.Helper()
	switch k {
	case onMySQL:
		return tuned(testserver.MySQL(t)).FormatDSN()
	case onMariaDB:
		return tuned(testserver.MariaDB(t)).FormatDSN()
	default:
		return filepath.Join(t.TempDir(), "inbox.db")
	}
}

// tuned sets a client up as barrier/mysql does, but for the isolation level.
func tuned(cfg *mysql.Config) *mysql.Config {
	cfg.InterpolateParams = true
	cfg.MultiStatements = true
	cfg.Timeout = 5 * time.Second
	cfg.Params = map[string]string{"innodb_lock_wait_timeout": "2"}
	return cfg
}

// open opens a database that source names.
func (k kind) open(source string) (*sql.DB, error) {
	if k == onSQLite {
		return sqlite.OpenDB(source)
	}
	db, err := sql.Open("mysql", source)
	if err == nil {
		db.SetMaxOpenConns(32)
		db.SetMaxIdleConns(32)
	}
	return db, err
}

// ground is a consumer's database. Its business is the table effect, with a row
// for each work that took effect, so that a second one shows.
type ground struct {
	t      testing.TB
	kind   kind
	source string
	db     *sql.DB
}

// each runs a test on a database of each kind.
func each(t *testing.T, test func(t *testing.T, g *ground)) {
	t.Helper()
	on(t, []kind{onSQLite, onMySQL, onMariaDB}, test)
}

func on(t *testing.T, kinds []kind, test func(t *testing.T, g *ground)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			test(t, newGround(t, k))
		})
	}
}

func newGround(t testing.TB, k kind) *ground {
	t.Helper()
	return openGround(t, k, k.source(t))
}

func openGround(t testing.TB, k kind, source string) *ground {
	t.Helper()
	db, err := k.open(source)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	g := &ground{t: t, kind: k, source: source, db: db}
	auto := "BIGINT AUTO_INCREMENT"
	if k == onSQLite {
		auto = "INTEGER"
	}
	g.exec(inbox.Schema(k.dialect()))
	g.exec("CREATE TABLE IF NOT EXISTS effect (seq " + auto + " PRIMARY KEY, message_id VARCHAR(128) NOT NULL, by_whom VARCHAR(32) NOT NULL)")
	g.exec("CREATE TABLE IF NOT EXISTS letter (seq " + auto + " PRIMARY KEY, message_id VARCHAR(128) NOT NULL)")
	return g
}

func (g *ground) exec(query string, args ...any) int64 {
	g.t.Helper()
	res, err := g.db.ExecContext(context.Background(), query, args...)
	require.NoError(g.t, err, query)
	n, err := res.RowsAffected()
	require.NoError(g.t, err)
	return n
}

func (g *ground) number(query string, args ...any) (n int) {
	g.t.Helper()
	require.NoError(g.t, g.db.QueryRowContext(context.Background(), query, args...).Scan(&n))
	return n
}

// effects is how often the work of a message took effect.
func (g *ground) effects(id string) int {
	g.t.Helper()
	return g.number("SELECT COUNT(*) FROM effect WHERE message_id = ?", id)
}

// elapse has the time pass until everything of a state is due.
func (g *ground) elapse(s inbox.State) {
	g.t.Helper()
	rows, err := inbox.List(context.Background(), g.db, g.kind.dialect(), inbox.ListOptions{States: []inbox.State{s}, Limit: 1000})
	require.NoError(g.t, err)
	for _, row := range rows { // by key, or it would deadlock with the inbox's own statements
		g.exec("UPDATE inbox SET due_at = 1 WHERE consumer = ? AND message_id = ? AND state = ? AND due_at IS NOT NULL", row.Consumer, row.MessageID, s)
	}
}

// row returns a message's row; the zero value if there is none.
func (g *ground) row(id string) inbox.Row {
	g.t.Helper()
	row, err := inbox.Get(context.Background(), g.db, g.kind.dialect(), "test", id)
	if err != nil {
		require.ErrorIs(g.t, err, inbox.ErrNotFound)
	}
	return row
}

// awaitState waits until a message has a state, and nothing is left to be done
// if that is Dead.
func (g *ground) awaitState(id string, want inbox.State) inbox.Row {
	g.t.Helper()
	var row inbox.Row
	eventually(g.t, fmt.Sprintf("message %s to be %s", id, want), func() bool {
		row = g.row(id)
		return row.State == want && (want != inbox.Dead || row.Due.IsZero())
	})
	return row
}

// config is a consumer whose work is effect, with short delays.
func (g *ground) config(h inbox.Handler) inbox.Config {
	return inbox.Config{
		DB: g.db, Dialect: g.kind.dialect(), Consumer: "test", Topic: "topic", Handler: h,
		Backoff: inbox.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond},
		Logger:  slog.New(slog.DiscardHandler),
	}
}

func (g *ground) open(cfg inbox.Config) *inbox.Inbox {
	g.t.Helper()
	box, err := inbox.New(context.Background(), cfg)
	require.NoError(g.t, err)
	return box
}

// run runs an inbox until the test ends, or stop is called.
func run(t testing.TB, box *inbox.Inbox) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { box.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// effect is work that takes effect.
func effect(id string) inbox.Work {
	return func(ctx context.Context, tx *inbox.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO effect (message_id, by_whom) VALUES (?, 'work')", id)
		return err
	}
}

// works is a handler whose work takes effect.
func works(_ context.Context, msg *message.Message) (inbox.Work, error) {
	return effect(msg.UUID), nil
}

func newMessage(id string) *message.Message { return message.NewMessage(id, []byte("payload of "+id)) }

// letters is a publisher of dead letters that keeps them.
type letters struct {
	mu   sync.Mutex
	err  error
	list []*message.Message
	hook func(*message.Message)
}

func (l *letters) Publish(topic string, msgs ...*message.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hook != nil {
		l.hook(msgs[0])
	}
	if l.err != nil {
		return l.err
	}
	for _, m := range msgs {
		if topic != "test-dead" {
			return fmt.Errorf("topic %s", topic)
		}
		l.list = append(l.list, m)
	}
	return nil
}

func (l *letters) Close() error { return nil }

// fail has Publish return err, or succeed again.
func (l *letters) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *letters) of(id string) (found []*message.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.list {
		if m.UUID == id {
			found = append(found, m)
		}
	}
	return found
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !condition(); {
		select {
		case <-tick.C:
		case <-end:
			require.FailNow(t, "not within 30 s: "+what)
		}
	}
}
