// Package mysql keeps the barrier in MySQL (8.0 or later) and MariaDB (10.6
// or later).
//
// A branch that only queues takes two round trips: one for BEGIN, the barrier
// row, the savepoint and all queued statements, one for COMMIT. While they are
// under way others queue up, which then go together in one transaction (group
// commit): under load a branch costs a fraction of a transaction.
package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"

	mysqldriver "github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

// Store is a barrier.Store on one MySQL or MariaDB database. It is safe for
// concurrent use.
type Store struct {
	db    *sql.DB
	owned bool
	// group is nil where every branch has a transaction of its own; groupDB
	// has its connections.
	group   *group
	groupDB *sql.DB
	opts    Options
	facts   facts
	retry   metric.Int64Counter
	size    metric.Int64Histogram
	logger  *slog.Logger
}

var _ barrier.Store = (*Store)(nil)

// Open connects to the database that cfg names, with connections of its own
// that have every fast path on, and checks that the barrier can be kept
// there. The caller closes the Store.
func Open(ctx context.Context, cfg *mysqldriver.Config, opts Options) (*Store, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	c, err := newConnector(cfg, opts)
	if err != nil {
		return nil, err
	}
	db := openPool(c, opts.MaxConns)
	s, err := newStore(ctx, db, opts, true)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	if opts.Batch > 1 {
		s.groupDB = openPool(c.withLockWait(opts, batchLockWait), opts.Workers)
		s.group = newGroup(opts, s.runBatch)
	}
	return s, nil
}

func openPool(c driver.Connector, conns int) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db
}

// New uses the caller's db, whose driver must be go-sql-driver/mysql, and
// checks it as [Open] does. It logs which fast paths db's settings leave off;
// the barrier's rules hold without them. The caller keeps db and closes it.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("barrier/mysql: no database given")
	}
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	return newStore(ctx, db, opts, false)
}

func newStore(ctx context.Context, db *sql.DB, opts Options, owned bool) (*Store, error) {
	f, err := check(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: %w", err)
	}
	mp := opts.MeterProvider
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	meter := mp.Meter("github.com/tcckit/tcckit/barrier")
	retry, err := meter.Int64Counter("tcckit.barrier.retries",
		metric.WithDescription("Transactions that were run again after a deadlock, a lock wait or a lost connection."))
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: %w", err)
	}
	size, err := meter.Int64Histogram("tcckit.barrier.batch.size", metric.WithUnit("{branch}"),
		metric.WithDescription("Branches that were committed together in one transaction."),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128))
	if err != nil {
		return nil, fmt.Errorf("barrier/mysql: %w", err)
	}
	s := &Store{db: db, owned: owned, opts: opts, facts: f, retry: retry, size: size, logger: opts.Logger}
	if f.volatile != "" {
		s.logger.WarnContext(ctx, "barrier: the server may lose branches that it has acknowledged when it or its machine fails: see docs/guarantees.md, Under which settings", "setting", f.volatile)
	}
	if !owned {
		s.reportSlowPaths(ctx)
	}
	return s, nil
}

func (s *Store) reportSlowPaths(ctx context.Context) {
	s.logger.InfoContext(ctx, "barrier: every branch has a transaction of its own, for the connections were given: let barrier/mysql open them to have branches share transactions")
	if !s.facts.multi {
		s.logger.WarnContext(ctx, "barrier: the connection does not run several statements in one round trip: set multiStatements and interpolateParams in its DSN, or let barrier/mysql open it")
	}
	if s.facts.lockWait > s.opts.LockWaitTimeout {
		s.logger.WarnContext(ctx, "barrier: the connection waits long for row locks: set innodb_lock_wait_timeout in its DSN", "timeout", s.facts.lockWait, "wanted", s.opts.LockWaitTimeout)
	}
}

// DB returns the database, for reads and for changes that are no branches.
// Its connections accept several statements in one query.
func (s *Store) DB() *sql.DB { return s.db }

// Close waits for the batches in flight and closes the connections that [Open]
// made. It has no effect on those given to [New].
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	if s.group != nil {
		s.group.close()
		return errors.Join(s.groupDB.Close(), s.db.Close())
	}
	return s.db.Close()
}

// Do implements barrier.Store.
func (s *Store) Do(ctx context.Context, call barrier.Call, work barrier.Work) (barrier.Result, error) {
	if s.group == nil {
		return sqlbranch.Run(ctx, s, nil, call, work)
	}
	return sqlbranch.Run(ctx, s, s.group, call, work)
}

// waited tells the group what became of a branch that ran alone.
func (s *Store) waited(sh sqlbranch.Share, err error) {
	if s.group == nil {
		return
	}
	switch {
	case err == nil:
		s.group.unblock(sh)
	case classify(err) == sqlbranch.LockWait:
		s.group.block(sh)
	}
}

// Look implements sqlbranch.Backend.
func (s *Store) Look(ctx context.Context, b tcc.Branch) (sqlbranch.Row, error) {
	var row sqlbranch.Row
	err := s.db.QueryRowContext(ctx, "SELECT state, response, reason FROM sub_transaction_barrier WHERE gid = ? AND branch_id = ?", b.GID, b.ID).
		Scan(&row.State, &row.Response, &row.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		return sqlbranch.Row{}, nil
	}
	return row, err
}

// Retrying implements sqlbranch.Backend.
func (s *Store) Retrying(ctx context.Context, b tcc.Branch, why sqlbranch.Class, err error) {
	s.retry.Add(ctx, 1, metric.WithAttributes(attribute.String("cause", why.String()), attribute.String("phase", b.Phase.String())))
	s.logger.DebugContext(ctx, "barrier: running a branch again", "gid", b.GID, "branch_id", b.ID, "phase", b.Phase.String(), "cause", why.String(), "error", err)
}
