package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/barrier/sqlite"
)

// openTimeout bounds [Open]: a server that is not there is an error soon.
const openTimeout = 10 * time.Second

// Config says which database to open.
type Config struct {
	// DSN is mysql://user:password@host:3306/database, a DSN of
	// go-sql-driver/mysql, or sqlite:/path/to/file.db.
	DSN string
	// Migrations are those that the database must have, as for [Migrate].
	Migrations fs.FS
	// MaxConns limits the connections to a MySQL server. 0 means 32.
	MaxConns int
	// Batch is the most branches that share one transaction of a MySQL
	// server. 0 means 64, 1 that each has one of its own.
	Batch int
	// Logger receives retries and what is worth knowing at start. Nil means
	// slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
}

// DB is a participant's database. It is safe for concurrent use.
type DB struct {
	sql     *sql.DB
	store   barrier.Store
	dialect Dialect
	closers []io.Closer
}

// Open opens a database that [Migrate] has made, within 10 seconds. Its errors
// say what to do: about a DSN that cannot be read, a server that does not
// answer, a database that does not exist, migrations that are missing. They
// never hold the DSN's password. The caller closes the DB.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	src, err := parseDSN(cfg.DSN)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	open := openMySQL
	if src.dialect == SQLite {
		open = openSQLite
	}
	db, err := open(ctx, src, cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src, explain(err))
	}
	return db, nil
}

func openMySQL(ctx context.Context, src source, cfg Config) (*DB, error) {
	if err := checkMigrations(ctx, src, cfg.Migrations); err != nil {
		return nil, err
	}
	store, err := mysql.Open(ctx, src.mysql, mysql.Options{MaxConns: cfg.MaxConns, Batch: cfg.Batch, Logger: cfg.Logger, MeterProvider: cfg.MeterProvider})
	if err != nil {
		return nil, err
	}
	return &DB{sql: store.DB(), store: store, dialect: MySQL, closers: []io.Closer{store}}, nil
}

func openSQLite(ctx context.Context, src source, cfg Config) (*DB, error) {
	if _, err := os.Stat(src.path); errors.Is(err, os.ErrNotExist) {
		return nil, errNoDatabase
	}
	if err := checkMigrations(ctx, src, cfg.Migrations); err != nil {
		return nil, err
	}
	store, err := sqlite.Open(ctx, src.path, sqlite.Options{Logger: cfg.Logger, MeterProvider: cfg.MeterProvider})
	if err != nil {
		return nil, err
	}
	return &DB{sql: store.DB(), store: store, dialect: SQLite, closers: []io.Closer{store}}, nil
}

// SQL returns the connections, for reads. Changes go through [DB.Transact] and
// [DB.Exec], branches through the barrier.
func (d *DB) SQL() *sql.DB { return d.sql }

// Barrier returns the barrier's store in this database.
func (d *DB) Barrier() barrier.Store { return d.store }

// Dialect returns how the database is spoken to.
func (d *DB) Dialect() Dialect { return d.dialect }

// Ping asks the database whether it answers, for health checks.
func (d *DB) Ping(ctx context.Context) error { return d.sql.PingContext(ctx) }

// Close closes the connections.
func (d *DB) Close() error {
	var errs []error
	for _, c := range d.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
