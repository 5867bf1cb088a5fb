// Package databasetest gives tests databases of each kind.
package databasetest

import (
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/testserver"
)

// Kind is a kind of database.
type Kind string

// The kinds.
const (
	SQLite  Kind = "sqlite"
	MySQL   Kind = "mysql"
	MariaDB Kind = "mariadb"
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{SQLite, MySQL, MariaDB} }

// DSN names a new, empty database, which goes when the test ends. Without a
// server of its kind the test fails, and -short skips it; SQLite needs none.
func DSN(t testing.TB, kind Kind) string {
	t.Helper()
	switch kind {
	case MySQL:
		return testserver.MySQL(t).FormatDSN()
	case MariaDB:
		return testserver.MariaDB(t).FormatDSN()
	default:
		return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	}
}

// Each runs a test on a migrated database of each kind.
func Each(t *testing.T, migrations fs.FS, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := DSN(t, kind)
			Migrate(t, dsn, migrations)
			test(t, Open(t, dsn, migrations))
		})
	}
}

// Migrate brings a database up to date.
func Migrate(t testing.TB, dsn string, migrations fs.FS) {
	t.Helper()
	_, err := database.Migrate(t.Context(), database.MigrateConfig{DSN: dsn, Migrations: migrations, Logger: Logger(t)})
	require.NoError(t, err)
}

// Open opens a migrated database until the test ends.
func Open(t testing.TB, dsn string, migrations fs.FS) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Config{DSN: dsn, Migrations: migrations, Logger: Logger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// Logger writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
