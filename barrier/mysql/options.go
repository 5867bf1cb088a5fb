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
	// Batch is the most branches that share one transaction. Zero means 64,
	// and 1 that every branch has a transaction of its own. Only a Store that
	// makes its own connections puts branches together.
	Batch int
	// Workers is how many batches may be in flight at once, each on a
	// connection of its own beside MaxConns. Zero means 1, which is the best
	// for rows that many branches want; more help a little where branches
	// seldom meet.
	Workers int
	// Queue is how many branches may wait for a batch; further callers wait
	// for a place until their context ends. Zero means 1024.
	Queue int
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
	defaultBatch           = 64
	defaultWorkers         = 1
	defaultQueue           = 1024
)

func (o *Options) setDefaults() error {
	if o.LockWaitTimeout == 0 {
		o.LockWaitTimeout = defaultLockWaitTimeout
	}
	if o.LockWaitTimeout < time.Second || o.LockWaitTimeout%time.Second != 0 {
		return fmt.Errorf("barrier/mysql: a lock wait timeout of %s: the server knows whole seconds only, from 1 s", o.LockWaitTimeout)
	}
	for _, n := range [...]struct {
		what   string
		value  *int
		normal int
	}{
		{"connections", &o.MaxConns, defaultMaxConns},
		{"branches in a batch", &o.Batch, defaultBatch},
		{"workers", &o.Workers, defaultWorkers},
		{"branches in the queue", &o.Queue, defaultQueue},
	} {
		if *n.value < 0 {
			return fmt.Errorf("barrier/mysql: at most %d %s", *n.value, n.what)
		}
		if *n.value == 0 {
			*n.value = n.normal
		}
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
