package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
)

// connector makes connections that are ready for branches: several statements
// travel in one round trip, and the session's settings are made.
type connector struct {
	driver.Connector
	session string
}

// errFoundRows refuses a setting under which an UPDATE that changes nothing
// counts its row: the barrier could not tell a first delivery from a second.
var errFoundRows = errors.New("barrier/mysql: clientFoundRows makes affected rows ambiguous: take it out of the DSN")

func newConnector(cfg *mysqldriver.Config, opts Options) (*connector, error) {
	if cfg == nil {
		return nil, errors.New("barrier/mysql: no configuration given")
	}
	if cfg.DBName == "" {
		return nil, errors.New("barrier/mysql: the configuration names no database: the barrier's table lives beside the business tables")
	}
	if cfg.ClientFoundRows {
		return nil, errFoundRows
	}
	c := cfg.Clone()
	c.MultiStatements = true
	c.InterpolateParams = true
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second // an unreachable server is an error soon
	}
	if c.Logger == nil || c.Logger == mysqldriver.NewConfig().Logger {
		c.Logger = driverLogger{opts.Logger}
	}
	inner, err := mysqldriver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: %w", err)
	}
	return &connector{Connector: inner, session: sessionSettings(opts)}, nil
}

// withLockWait is the same with another lock wait timeout.
func (c *connector) withLockWait(opts Options, d time.Duration) *connector {
	opts.LockWaitTimeout = d
	return &connector{Connector: c.Connector, session: sessionSettings(opts)}
}

// driverLogger takes what the driver would print to the standard error.
type driverLogger struct{ to *slog.Logger }

// Print implements the driver's Logger.
func (l driverLogger) Print(v ...any) { l.to.Warn("mysql driver", "message", fmt.Sprint(v...)) }

func sessionSettings(opts Options) string {
	return fmt.Sprintf("SET SESSION TRANSACTION ISOLATION LEVEL %s; SET SESSION innodb_lock_wait_timeout = %d",
		opts.isolation(), int(opts.LockWaitTimeout/time.Second))
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("barrier/mysql: a %T cannot execute", conn)
	}
	if _, err := execer.ExecContext(ctx, c.session, nil); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("barrier/mysql: set up the session: %w", err)
	}
	return conn, nil
}
