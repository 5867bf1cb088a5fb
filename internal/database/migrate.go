package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"

	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/barrier/sqlite"
)

// migrateTimeout bounds a [Migrate] whose caller gives no deadline.
const migrateTimeout = 10 * time.Minute

// MigrateConfig says what to migrate.
type MigrateConfig struct {
	// DSN is as in [Config].
	DSN string
	// Migrations has a folder for each [Dialect] with files that goose reads,
	// "00002_account.sql" and so on. Version 1 is the barrier's tables, which
	// every participant has. MySQL commits each DDL statement by itself, so
	// write CREATE TABLE IF NOT EXISTS: a migration that was killed half-way
	// is run again.
	Migrations fs.FS
	// CreateDatabase makes a MySQL database that does not exist. A SQLite
	// file is always made.
	CreateDatabase bool
	// Logger is told of each migration. Nil means slog.Default.
	Logger *slog.Logger
}

// MigrateResult is what [Migrate] did.
type MigrateResult struct {
	// Applied are the versions that were applied, in order; empty if the
	// database was up to date.
	Applied []int64
	// Version is that of the database now.
	Version int64
}

// Migrate brings a database up to date. Run again it does nothing, and several
// may run at once: they take turns.
func Migrate(ctx context.Context, cfg MigrateConfig) (MigrateResult, error) {
	src, err := parseDSN(cfg.DSN)
	if err != nil {
		return MigrateResult{}, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, migrateTimeout)
		defer cancel()
	}
	res, err := migrate(ctx, src, cfg)
	if err != nil {
		return res, fmt.Errorf("migrate %s: %w", src, explain(err))
	}
	return res, nil
}

func migrate(ctx context.Context, src source, cfg MigrateConfig) (MigrateResult, error) {
	if src.dialect == MySQL {
		if err := ensureDatabase(ctx, src.mysql, cfg.CreateDatabase); err != nil {
			return MigrateResult{}, err
		}
	}
	db, err := src.connect()
	if err != nil {
		return MigrateResult{}, err
	}
	defer db.Close()
	if err := reach(ctx, src, db); err != nil {
		return MigrateResult{}, err
	}
	p, err := provider(src, db, cfg.Migrations, goose.WithSessionLocker(src.locker()))
	if err != nil {
		return MigrateResult{}, err
	}
	if err := ensureVersions(ctx, src, db); err != nil {
		return MigrateResult{}, err
	}
	if err := ensureResolutions(ctx, src.dialect, db); err != nil {
		return MigrateResult{}, err
	}
	if err := ensureMessages(ctx, src.dialect, db); err != nil {
		return MigrateResult{}, err
	}
	applied, err := p.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		applied = partial.Applied
	}
	var res MigrateResult
	for _, m := range applied {
		res.Applied = append(res.Applied, m.Source.Version)
		cfg.Logger.InfoContext(ctx, "migration applied", "database", src.String(), "version", m.Source.Version, "took", m.Duration)
	}
	if err != nil {
		return res, err
	}
	res.Version, err = p.GetDBVersion(ctx)
	return res, err
}

// reach opens a connection. The first one to a new SQLite file gives it its
// log (WAL), and of several at once SQLite refuses some without waiting: so they
// take turns.
func reach(ctx context.Context, src source, db *sql.DB) (err error) {
	if src.dialect != SQLite {
		return nil
	}
	l := src.locker()
	if err := l.SessionLock(ctx, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.SessionUnlock(context.WithoutCancel(ctx), nil)) }()
	return db.PingContext(ctx)
}

// provider returns goose with the barrier's migration and those of fsys.
func provider(src source, db *sql.DB, fsys fs.FS, opts ...goose.ProviderOption) (*goose.Provider, error) {
	dialect, schema := goose.DialectMySQL, mysql.Schema
	if src.dialect == SQLite {
		dialect, schema = goose.DialectSQLite3, sqlite.Schema
	}
	own, err := fs.Sub(fsys, string(src.dialect))
	if err != nil {
		return nil, err
	}
	barrier := goose.NewGoMigration(1, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, schema)
		return err
	}}, nil)
	opts = append(opts, goose.WithGoMigrations(barrier), goose.WithDisableGlobalRegistry(true))
	return goose.NewProvider(dialect, db, own, opts...)
}

// connect opens the database without looking at it.
func (s source) connect() (*sql.DB, error) {
	if s.dialect == SQLite {
		return sqlite.OpenDB(s.path)
	}
	return connectMySQL(s.mysql)
}

func connectMySQL(cfg *mysqldriver.Config) (*sql.DB, error) {
	c := cfg.Clone()
	// goose reads times.
	c.ParseTime = true
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	connector, err := mysqldriver.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// ensureDatabase makes the database if it does not exist and create says so.
func ensureDatabase(ctx context.Context, cfg *mysqldriver.Config, create bool) error {
	db, err := connectMySQL(cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	err = db.PingContext(ctx)
	if !isMySQL(err, erUnknownDatabase) {
		return err
	}
	if !create {
		return fmt.Errorf("it does not exist: create it, or let `tcckit migrate` do so with --create-database (%w)", err)
	}
	server := cfg.Clone()
	server.DBName = ""
	admin, err := connectMySQL(server)
	if err != nil {
		return err
	}
	defer admin.Close()
	name := "`" + strings.ReplaceAll(cfg.DBName, "`", "``") + "`"
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

// checkMigrations reports errBehind when a migration of fsys is not applied.
// One that is not of fsys is none of its business: during a rolling update the
// old release meets the new one's tables.
func checkMigrations(ctx context.Context, src source, fsys fs.FS) error {
	db, err := src.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	p, err := provider(src, db, fsys)
	if err != nil {
		return err
	}
	var want []int64
	for _, s := range p.ListSources() {
		want = append(want, s.Version)
	}
	have, err := appliedVersions(ctx, src.dialect, db)
	if err != nil {
		return err
	}
	for _, v := range want {
		if !slices.Contains(have, v) {
			return fmt.Errorf("%w (version %d of %d is missing)", errBehind, v, want[len(want)-1])
		}
	}
	return nil
}

// ensureVersions makes goose's table with its row for version 0 before goose
// does: goose first looks at it without the lock, and takes the table without
// that row, which on MySQL is what another process sees in between and what
// one that is killed in between leaves, for broken.
func ensureVersions(ctx context.Context, src source, db *sql.DB) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	l := src.locker()
	if err := l.SessionLock(ctx, conn); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.SessionUnlock(context.WithoutCancel(ctx), conn)) }()
	store, exists, err := versionStore(ctx, src.dialect, conn)
	if err != nil {
		return err
	}
	if !exists {
		if err := store.CreateVersionTable(ctx, conn); err != nil {
			return fmt.Errorf("create the table of versions: %w", err)
		}
	}
	if _, err = store.GetLatestVersion(ctx, conn); errors.Is(err, goosedb.ErrVersionNotFound) {
		err = store.Insert(ctx, conn, goosedb.InsertRequest{Version: 0})
	}
	return err
}

// versionStore returns goose's view of its table, and whether that exists.
func versionStore(ctx context.Context, d Dialect, db goosedb.DBTxConn) (store goosedb.Store, exists bool, err error) {
	query := "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
	dialect := goose.DialectMySQL
	if d == SQLite {
		query = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
		dialect = goose.DialectSQLite3
	}
	if store, err = goosedb.NewStore(dialect, goose.DefaultTablename); err != nil {
		return nil, false, err
	}
	err = db.QueryRowContext(ctx, query, goose.DefaultTablename).Scan(&exists)
	return store, exists, err
}

// appliedVersions reads goose's table, which it does not create.
func appliedVersions(ctx context.Context, d Dialect, db *sql.DB) ([]int64, error) {
	store, exists, err := versionStore(ctx, d, db)
	if err != nil || !exists {
		return nil, err
	}
	rows, err := store.ListMigrations(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("read which migrations were applied: %w", err)
	}
	var versions []int64
	for _, r := range rows {
		if r.IsApplied {
			versions = append(versions, r.Version)
		}
	}
	return versions, nil
}
