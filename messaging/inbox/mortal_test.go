package inbox_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/ThreeDotsLabs/watermill/message"
)

// mortal is a process that is killed after the call numbered killAt of those
// that it makes to its database and its broker: what is there then is also what
// is there before the next one.
type mortal struct {
	killAt int64
	calls  atomic.Int64
}

// afterPublishing is a moment by itself, for calls of several goroutines have no
// fixed order.
const afterPublishing = -1

func (m *mortal) step() {
	if m.calls.Add(1) == m.killAt {
		die()
	}
}

func die() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // it comes at once
}

// open opens a database whose calls are counted.
func (m *mortal) open(k kind, source string) (*sql.DB, error) {
	plain, err := k.open(source)
	if err != nil {
		return nil, err
	}
	// Only to find its driver and, on SQLite, how that is told its settings.
	conn := mortalConnector{m: m, driver: plain.Driver(), source: source}
	if k == onSQLite {
		conn.source = "file:" + source + "?_txlock=immediate&_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	}
	return sql.OpenDB(conn), plain.Close()
}

type mortalConnector struct {
	m      *mortal
	driver driver.Driver
	source string
}

func (c mortalConnector) Driver() driver.Driver { return c.driver }

func (c mortalConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.source)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, fmt.Errorf("a %T", conn)
	}
	return &mortalConn{fullConn: full, m: c.m}, nil
}

// fullConn is what the drivers' connections can.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type mortalConn struct {
	fullConn
	m *mortal
}

func (c *mortalConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.fullConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *mortalConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer c.m.step()
	tx, err := c.fullConn.BeginTx(ctx, opts)
	return mortalTx{tx, c.m}, err
}

func (c *mortalConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.m.step()
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c *mortalConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	defer c.m.step()
	return c.fullConn.QueryContext(ctx, query, args)
}

type mortalTx struct {
	driver.Tx
	m *mortal
}

func (t mortalTx) Commit() error {
	defer t.m.step()
	return t.Tx.Commit()
}

func (t mortalTx) Rollback() error {
	defer t.m.step()
	return t.Tx.Rollback()
}

// letterBox is a dead-letter topic that outlives processes: the table letter.
type letterBox struct {
	db *sql.DB
	m  *mortal
}

func (l *letterBox) Publish(_ string, msgs ...*message.Message) error {
	defer l.m.step()
	for _, msg := range msgs {
		if _, err := l.db.ExecContext(msg.Context(), "INSERT INTO letter (message_id) VALUES (?)", msg.UUID); err != nil {
			return err
		}
	}
	if l.m.killAt == afterPublishing {
		die()
	}
	return nil
}

func (l *letterBox) Close() error { return nil }
