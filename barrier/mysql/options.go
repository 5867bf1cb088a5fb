package mysql

import (
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// Options are a [Store]'s settings. The zero value works.
type Options struct {
	// RepeatableRead runs the branches' transactions under REPEATABLE READ,
	// for work that needs it. The default is READ COMMITTED, under which a
	// delivery never blocks that of a neighbouring gid.
	RepeatableRead bool
	// LockWaitTimeout is how long a statement waits for a row, in whole
	// seconds. Zero means 2 s, which is under the 3 s that DTM gives a call.
	// A Store on a given *sql.DB does not set it.
	LockWaitTimeout time.Duration
	// MaxConns limits the connections of a Store that makes its own. Zero
	// means 32.
	MaxConns int
	// Logger receives what is worth knowing at start and each retry (at
	// debug level). Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global
	// one.
	MeterProvider metric.MeterProvider
}

const (
	defaultLockWaitTimeout = 2 * time.Second
	defaultMaxConns        = 32
)

func (o *Options) setDefaults() error {
	if o.LockWaitTimeout == 0 {
		o.LockWaitTimeout = defaultLockWaitTimeout
	}
	if o.LockWaitTimeout < time.Second || o.LockWaitTimeout%time.Second != 0 {
		return fmt.Errorf("barrier/mysql: a lock wait timeout of %s: the server knows whole seconds only, from 1 s", o.LockWaitTimeout)
	}
	if o.MaxConns == 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.MaxConns < 0 {
		return fmt.Errorf("barrier/mysql: at most %d connections", o.MaxConns)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

func (o *Options) isolation() string {
	if o.RepeatableRead {
		return "REPEATABLE READ"
	}
	return "READ COMMITTED"
}
