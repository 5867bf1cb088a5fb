package outbox_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// envChild makes the test binary a process that writes and publishes messages
// and is killed on the way: see TestKilled.
const envChild = "TCCKIT_TEST_OUTBOX_CHILD"

// errand is what a child does.
type errand struct {
	Dialect messaging.Dialect
	DSN     string // as in box
	// Prefix begins the ids of its messages.
	Prefix string
	// KillAt is the moment at which it is killed: before or after one of the
	// statements that it sends, or of the messages that it publishes.
	KillAt int
}

// messages are what an errand writes, in one transaction: some in an order, one
// that is refused at first.
func (e errand) messages() []outbox.Message {
	ordered := numbered(e.Prefix+"-o", 3, outbox.Message{Topic: "t", Key: e.Prefix, Ordered: true})
	free := numbered(e.Prefix+"-f", 2, outbox.Message{Topic: "t", ExpectResult: true})
	return append(ordered, free...)
}

// runChild does an errand. SIGKILL ends it before it returns, unless KillAt is
// beyond its last step.
func runChild(order string) error {
	var e errand
	if err := json.Unmarshal([]byte(order), &e); err != nil {
		return err
	}
	ctx := context.Background()
	m := &mortal{killAt: e.KillAt}
	db, plain, err := m.open(e)
	if err != nil {
		return err
	}
	defer db.Close()
	defer plain.Close()
	o, err := outbox.New(ctx, outbox.Config{DB: db, Dialect: e.Dialect, ResultTopic: "results", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO business VALUES (?, 1)", e.Prefix); err != nil {
		return err
	}
	if err := o.Write(ctx, tx, e.messages()...); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	p := &table{mortal: m, db: plain, refuse: e.Prefix + "-o-00001"}
	r, err := outbox.NewRelay(outbox.RelayConfig{
		Outbox: o, Publisher: p, Workers: 1, StatsInterval: 1000 * time.Hour, SweepInterval: 1000 * time.Hour, Poll: 10 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, ResultTimeout: time.Hour,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	p.last, p.end = e.Prefix+"-o-00002", cancel
	r.Run(ctx)
	return nil
}

// table is a broker that keeps messages in a table, which outlives the process.
// It refuses one, once.
type table struct {
	*mortal
	db      *sql.DB
	refuse  string
	refused atomic.Bool
	last    string
	end     func() // when it has the last one
}

// Publish implements message.Publisher. As with most brokers a part of a batch
// may have been taken when it fails.
func (p *table) Publish(_ string, msgs ...*message.Message) error {
	for _, m := range msgs {
		p.step()
		if m.UUID == p.refuse && !p.refused.Swap(true) {
			return errors.New("not yet")
		}
		if _, err := p.db.ExecContext(m.Context(), "INSERT INTO taken (id) VALUES (?)", m.UUID); err != nil {
			return err
		}
		p.step()
		if m.UUID == p.last {
			p.end()
		}
	}
	return nil
}

// Close implements message.Publisher.
func (p *table) Close() error { return nil }

// mortal kills its process at the moment numbered killAt.
type mortal struct {
	moment atomic.Int64
	killAt int
}

// step is one moment.
func (m *mortal) step() {
	if m.moment.Add(1) == int64(m.killAt) {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // it comes at once
	}
}

// open opens the database twice: with a moment before and after each statement,
// and without.
func (m *mortal) open(e errand) (db, plain *sql.DB, err error) {
	if e.Dialect == messaging.SQLite {
		dsn := "file:" + e.DSN + "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
		if plain, err = sql.Open("sqlite", dsn); err != nil {
			return nil, nil, err
		}
		return sql.OpenDB(mortalConnector{opener{plain.Driver(), dsn}, m}), plain, nil
	}
	cfg, err := mysqldriver.ParseDSN(e.DSN)
	if err != nil {
		return nil, nil, err
	}
	cfg.InterpolateParams = true // a statement is a round trip
	c, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, nil, err
	}
	return sql.OpenDB(mortalConnector{c, m}), sql.OpenDB(c), nil
}

// opener is a connector of a driver that has none.
type opener struct {
	driver driver.Driver
	dsn    string
}

func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open(o.dsn) }
func (o opener) Driver() driver.Driver                        { return o.driver }

type mortalConnector struct {
	driver.Connector
	*mortal
}

func (c mortalConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return mortalConn{conn, c.mortal}, err
}

// mortalConn has a moment before and after each statement.
type mortalConn struct {
	driver.Conn
	*mortal
}

func (c mortalConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.step()
	defer c.step()
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c mortalConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.step()
	defer c.step()
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c mortalConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.step()
	defer c.step()
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	return mortalTx{tx, c.mortal}, err
}

type mortalTx struct {
	driver.Tx
	*mortal
}

func (t mortalTx) Commit() error {
	t.step()
	defer t.step()
	return t.Tx.Commit()
}
