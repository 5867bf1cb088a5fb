package main

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier/sqlite"
	"github.com/tcckit/tcckit/internal/mysqldsn"
	"github.com/tcckit/tcckit/messaging"
)

// dbUsage says what --db takes.
const dbUsage = "the participant's database: mysql://user:password@host:3306/database or sqlite:/path"

// errNoDB says that --db is missing.
func errNoDB() error {
	return usagef("--db is missing: give the participant's database, as mysql://user:password@host:3306/database or sqlite:/path/to/file.db; better in %s, for a command line is visible to everybody", environmentName("db"))
}

// sqlitePath returns the path that a DSN of SQLite names, false if it is of another kind. The file must exist:
// opening it would make it.
func sqlitePath(dsn string) (path string, ok bool, err error) {
	if path, ok = strings.CutPrefix(dsn, "sqlite:"); !ok {
		return "", false, nil
	}
	path = strings.TrimPrefix(path, "//")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", true, fmt.Errorf("SQLite file %s: %w", path, err)
	}
	return path, true, nil
}

// openDB opens any participant's database, whatever is in it. The caller closes it.
func openDB(dsn string) (*sql.DB, messaging.Dialect, error) {
	if dsn == "" {
		return nil, "", errNoDB()
	}
	path, ok, err := sqlitePath(dsn)
	if err != nil {
		return nil, "", err
	}
	if ok {
		db, err := sqlite.OpenDB(path)
		return db, messaging.SQLite, err
	}
	cfg, err := mysqldsn.Parse(dsn)
	if err != nil {
		return nil, "", usageError{err}
	}
	if cfg.DBName == "" {
		return nil, "", usagef("--db names no database: want mysql://user:password@host:3306/database")
	}
	connector, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, "", usageError{err}
	}
	return sql.OpenDB(connector), messaging.MySQL, nil
}
