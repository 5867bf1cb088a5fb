// Package sqlite keeps the barrier in SQLite, for demonstrations, tests and
// services that run on one machine.
//
// SQLite has one writer at a time: branches run one after another.
package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/internal/sqlbranch"
	"github.com/tcckit/tcckit/tcc"
)

// Schema creates the barrier's table if it does not exist. It belongs into
// the participant's migrations.
//
//go:embed schema.sql
var Schema string

// Options are a [Store]'s settings. The zero value works.
type Options struct {
	// Logger receives each retry (at debug level). Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global
	// one.
	MeterProvider metric.MeterProvider
}

// Store is a barrier.Store on one SQLite database. It is safe for concurrent
// use, and several processes may use one file.
type Store struct {
	db     *sql.DB
	owned  bool
	writer chan struct{} // holds one token: whose turn it is to write
	retry  metric.Int64Counter
	logger *slog.Logger
}

var _ barrier.Store = (*Store)(nil)

// Open opens the database file at path, which is made if it does not exist,
// with a write-ahead log and full synchronisation, and checks that the
// barrier's table is in it. The caller closes the Store.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	db, err := OpenDB(path)
	if err != nil {
		return nil, err
	}
	s, err := New(ctx, db, opts)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	s.owned = true
	return s, nil
}

// OpenDB opens a database file with the settings of [Open], without looking
// at it. It is for migrations.
func OpenDB(path string) (*sql.DB, error) {
	if path == "" {
		return nil, errors.New("barrier/sqlite: the path of the database is empty")
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(2000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("barrier/sqlite: open %s: %w", path, err)
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return db, nil
}

// New uses the caller's db, whose driver must be modernc.org/sqlite and which
// the caller keeps and closes.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	if db == nil {
		return nil, errors.New("barrier/sqlite: no database given")
	}
	var n int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM pragma_table_info('sub_transaction_barrier') WHERE name IN ('gid', 'branch_id', 'state', 'updated_at', 'method', 'request', 'response', 'reason')").Scan(&n); err != nil {
		return nil, fmt.Errorf("barrier/sqlite: %w", err)
	}
	if n != 8 {
		return nil, errors.New("barrier/sqlite: the database has no table sub_transaction_barrier of the right columns: create it with sqlite.Schema in the participant's migrations")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.MeterProvider == nil {
		opts.MeterProvider = otel.GetMeterProvider()
	}
	retry, err := opts.MeterProvider.Meter("github.com/tcckit/tcckit/barrier").Int64Counter("tcckit.barrier.retries",
		metric.WithDescription("Deliveries that were run again after a deadlock, a lock wait or a lost connection."))
	if err != nil {
		return nil, fmt.Errorf("barrier/sqlite: %w", err)
	}
	return &Store{db: db, writer: make(chan struct{}, 1), retry: retry, logger: opts.Logger}, nil
}

// DB returns the database, for reads and for changes that are no branches.
func (s *Store) DB() *sql.DB { return s.db }

// Close closes what [Open] opened. It has no effect on a database given to
// [New].
func (s *Store) Close() error {
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// Do implements barrier.Store.
func (s *Store) Do(ctx context.Context, call barrier.Call, work barrier.Work) (barrier.Result, error) {
	return sqlbranch.Run(ctx, s, nil, call, work)
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
