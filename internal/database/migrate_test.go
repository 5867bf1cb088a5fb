package database_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/testserver"
)

func copyOf(sql string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(sql)} }

func migrate(t *testing.T, dsn string) (database.MigrateResult, error) {
	return database.Migrate(t.Context(), database.MigrateConfig{DSN: dsn, Migrations: migrations(), Logger: databasetest.Logger(t)})
}

func TestMigrateAgainDoesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			res, err := migrate(t, dsn)
			require.NoError(t, err)
			require.Equal(t, database.MigrateResult{Applied: []int64{1, 2}, Version: 2}, res)
			res, err = migrate(t, dsn)
			require.NoError(t, err)
			require.Equal(t, database.MigrateResult{Version: 2}, res)
		})
	}
}

// Several replicas that start at once each migrate: one does it, all succeed.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			rounds := 1
			if kind == databasetest.SQLite { // seldom refuses who opens a new file beside others
				rounds = testserver.Volume(10, 200)
			}
			for range rounds {
				migrateAtOnce(t, databasetest.DSN(t, kind))
			}
		})
	}
}

func migrateAtOnce(t *testing.T, dsn string) {
	t.Helper()
	const replicas = 6
	results, errs := make([]database.MigrateResult, replicas), make([]error, replicas)
	var all sync.WaitGroup
	for i := range replicas {
		all.Go(func() { results[i], errs[i] = migrate(t, dsn) })
	}
	all.Wait()
	applied := 0
	for i := range replicas {
		require.NoError(t, errs[i])
		require.Equal(t, int64(2), results[i].Version)
		applied += len(results[i].Applied)
	}
	require.Equal(t, 2, applied)
}

// MySQL commits each statement by itself: a migration that was killed before
// its version was noted is run again.
func TestMigrateAfterOneWasKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range []databasetest.Kind{databasetest.MySQL, databasetest.MariaDB} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			_, err := migrate(t, dsn)
			require.NoError(t, err)
			raw, err := sql.Open("mysql", dsn)
			require.NoError(t, err)
			defer raw.Close()
			// The first leaves what one leaves that was killed before it noted
			// that nothing is applied.
			for _, lost := range []string{"version_id >= 0", "version_id > 0", "version_id > 1"} {
				_, err = raw.ExecContext(t.Context(), "DELETE FROM goose_db_version WHERE "+lost)
				require.NoError(t, err)
				res, err := migrate(t, dsn)
				require.NoError(t, err, lost)
				require.Equal(t, int64(2), res.Version, lost)
				require.Equal(t, int64(2), res.Applied[len(res.Applied)-1], lost)
			}
		})
	}
}

func TestMigrateCreatesTheDatabaseWhenTold(t *testing.T) {
	t.Parallel()
	cfg := testserver.MySQL(t)
	raw, err := sql.Open("mysql", cfg.FormatDSN())
	require.NoError(t, err)
	defer raw.Close()
	own := cfg.Clone()
	own.DBName = cfg.DBName + "_`new"
	defer func() {
		// The test's context has ended.
		_, err := raw.ExecContext(context.Background(), "DROP DATABASE IF EXISTS `"+cfg.DBName+"_``new`")
		require.NoError(t, err)
	}()
	mc := database.MigrateConfig{DSN: own.FormatDSN(), Migrations: migrations()}

	_, err = database.Migrate(t.Context(), mc)
	require.ErrorContains(t, err, "does not exist")
	require.ErrorContains(t, err, "--create-database")

	mc.CreateDatabase = true
	res, err := database.Migrate(t.Context(), mc)
	require.NoError(t, err)
	require.Equal(t, int64(2), res.Version)
	var collation string
	require.NoError(t, raw.QueryRowContext(t.Context(), "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = ?", own.DBName).Scan(&collation))
	require.Equal(t, "utf8mb4_bin", collation)
}

// A migration that hangs does not hang the others for ever, and its lock ends
// with it.
func TestMigrateGivesUpWaiting(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			unlock := database.LockMigrations(t, dsn)
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			_, err := database.Migrate(ctx, database.MigrateConfig{DSN: dsn, Migrations: migrations()})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "another migration of this database")
			unlock()
			_, err = migrate(t, dsn)
			require.NoError(t, err)
		})
	}
}

func TestMigrateReportsABrokenMigration(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			broken := migrations()
			broken["mysql/00003_broken.sql"] = copyOf("-- +goose Up\nCREATE TALBE x;")
			broken["sqlite/00003_broken.sql"] = broken["mysql/00003_broken.sql"]
			res, err := database.Migrate(t.Context(), database.MigrateConfig{DSN: databasetest.DSN(t, kind), Migrations: broken, Logger: databasetest.Logger(t)})
			require.ErrorContains(t, err, "version:3")
			require.Equal(t, []int64{1, 2}, res.Applied)
		})
	}
}

// A database of a release that kept no resolutions gets their table, and its
// data stays.
func TestMigrateAddsTheResolutions(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			dsn := databasetest.DSN(t, kind)
			_, err := migrate(t, dsn)
			require.NoError(t, err)
			db := databasetest.Open(t, dsn, migrations())
			store, ok := db.Barrier().(barrier.ResolutionStore)
			require.True(t, ok)
			_, err = db.SQL().ExecContext(t.Context(), "DROP TABLE barrier_resolution")
			require.NoError(t, err)
			_, err = store.Resolutions(t.Context(), barrier.ResolutionsOptions{})
			require.ErrorContains(t, err, "ResolutionSchema")

			for range 2 {
				res, err := migrate(t, dsn)
				require.NoError(t, err)
				require.Equal(t, database.MigrateResult{Version: 2}, res)
				_, err = store.Resolutions(t.Context(), barrier.ResolutionsOptions{})
				require.NoError(t, err)
			}
		})
	}
}
