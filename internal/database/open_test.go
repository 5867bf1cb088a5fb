package database_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/testserver"
)

// open opens a database that must not open, and returns why.
func open(t *testing.T, dsn string) error {
	t.Helper()
	db, err := database.Open(t.Context(), database.Config{DSN: dsn, Migrations: migrations()})
	if err == nil {
		require.NoError(t, db.Close())
	}
	require.Error(t, err)
	return err
}

func TestOpen(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		require.NotNil(t, db.Barrier())
		require.NoError(t, db.Ping(t.Context()))
		var now int64
		require.NoError(t, db.SQL().QueryRowContext(t.Context(), "SELECT "+db.Dialect().Now()).Scan(&now))
		require.Greater(t, now, int64(1.7e12), "milliseconds")
		require.Less(t, now, int64(1e13), "milliseconds")
	})
}

func TestOpenSaysThatNothingIsMigrated(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			require.ErrorContains(t, open(t, dsn), "tcckit migrate")

			older := migrations()
			delete(older, "mysql/00002_things.sql")
			delete(older, "sqlite/00002_things.sql")
			older["mysql/readme"], older["sqlite/readme"] = copyOf(""), copyOf("")
			databasetest.Migrate(t, dsn, older)
			err := open(t, dsn)
			require.ErrorContains(t, err, "tcckit migrate")
			require.ErrorContains(t, err, "version 2 of 2 is missing")
		})
	}
}

// An older release opens the tables of a newer one.
func TestOpenAfterNewerMigrations(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			newer := migrations()
			newer["mysql/00003_more.sql"] = newer["mysql/00002_things.sql"]
			newer["sqlite/00003_more.sql"] = copyOf("-- +goose Up\nCREATE TABLE more (id INTEGER) STRICT;")
			databasetest.Migrate(t, dsn, newer)
			databasetest.Open(t, dsn, migrations())
		})
	}
}

func TestOpenSaysThatNoFileIsThere(t *testing.T) {
	t.Parallel()
	err := open(t, "sqlite:"+filepath.Join(t.TempDir(), "none.db"))
	require.ErrorContains(t, err, "does not exist")
	require.ErrorContains(t, err, "tcckit migrate")
}

func TestOpenSaysThatNoServerIsThere(t *testing.T) {
	t.Parallel()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	err = open(t, fmt.Sprintf("mysql://u:s3cr3t@127.0.0.1:%d/shop", port))
	require.ErrorContains(t, err, "cannot be reached")
	require.NotContains(t, err.Error(), "s3cr3t")
}

func TestOpenSaysWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	cfg := testserver.MySQL(t)
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		c := cfg.Clone()
		c.DBName = "there_is_none"
		require.ErrorContains(t, open(t, c.FormatDSN()), "tcckit migrate")
	})
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		c := cfg.Clone()
		c.Passwd = "s3cr3t"
		err := open(t, c.FormatDSN())
		require.ErrorContains(t, err, "refuses the DSN's user or password")
		require.NotContains(t, err.Error(), "s3cr3t")
	})
	t.Run("clientFoundRows", func(t *testing.T) {
		t.Parallel()
		own := testserver.MySQL(t)
		databasetest.Migrate(t, own.FormatDSN(), migrations())
		own.ClientFoundRows = true
		require.ErrorContains(t, open(t, own.FormatDSN()), "clientFoundRows")
	})
}

// The other form of a DSN opens the same database.
func TestOpenByURL(t *testing.T) {
	t.Parallel()
	cfg := testserver.MySQL(t)
	require.Equal(t, "tcp", cfg.Net)
	dsn := url(cfg)
	databasetest.Migrate(t, dsn, migrations())
	databasetest.Open(t, dsn, migrations())
}

func url(cfg *mysql.Config) string {
	return fmt.Sprintf("mysql://%s:%s@%s/%s", cfg.User, cfg.Passwd, cfg.Addr, cfg.DBName)
}
