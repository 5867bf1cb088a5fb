package database_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

func put(t *testing.T, db *database.DB, id string, n int) {
	t.Helper()
	rows, err := db.Exec(t.Context(), "INSERT INTO thing (id, n) VALUES (?, ?)", id, n)
	require.NoError(t, err)
	require.Equal(t, int64(1), rows)
}

func get(t *testing.T, db *database.DB, id string) (n int) {
	t.Helper()
	require.NoError(t, db.SQL().QueryRowContext(t.Context(), "SELECT COALESCE(SUM(n), -1) FROM thing WHERE id = ?", id).Scan(&n))
	return n
}

func TestTransactCommitsAllOrNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		own := errors.New("own")
		err := db.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO thing (id, n) VALUES ('a', 1)"); err != nil {
				return err
			}
			return own
		})
		require.Equal(t, own, err)
		require.Equal(t, -1, get(t, db, "a"))
		require.NoError(t, db.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO thing (id, n) VALUES ('a', 1)")
			return err
		}))
		require.Equal(t, 1, get(t, db, "a"))

		_, err = db.Exec(t.Context(), "INSERT INTO thing (id, n) VALUES ('a', 2)")
		require.True(t, database.IsDuplicate(err), err)
		require.NotErrorIs(t, err, tcc.ErrUnavailable)
	})
}

// Two transactions that lock two rows in opposite orders deadlock; the victim is
// run again. On SQLite they take turns.
func TestTransactRunsAgainAfterADeadlock(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		put(t, db, "a", 0)
		put(t, db, "b", 0)
		var runs atomic.Int64
		both := make(chan struct{})
		var first sync.WaitGroup
		first.Add(2)
		if db.Dialect() == database.SQLite {
			close(both)
		} else {
			go func() { first.Wait(); close(both) }()
		}
		var all sync.WaitGroup
		errs := make([]error, 2)
		for i, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
			var once sync.Once
			all.Go(func() {
				errs[i] = db.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
					runs.Add(1)
					if _, err := tx.ExecContext(ctx, "UPDATE thing SET n = n + 1 WHERE id = ?", order[0]); err != nil {
						return err
					}
					once.Do(first.Done)
					<-both
					_, err := tx.ExecContext(ctx, "UPDATE thing SET n = n + 1 WHERE id = ?", order[1])
					return err
				})
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		require.Equal(t, 2, get(t, db, "a"))
		require.Equal(t, 2, get(t, db, "b"))
		if db.Dialect() == database.MySQL {
			require.GreaterOrEqual(t, runs.Load(), int64(3), "one was a deadlock's victim")
		}
	})
}

// When the answer to COMMIT is lost nothing is repeated: the caller is told that
// it may have happened, and it has.
func TestTransactDoesNotRepeatACommitWithoutAnswer(t *testing.T) {
	t.Parallel()
	cfg := testserver.MySQL(t)
	databasetest.Migrate(t, cfg.FormatDSN(), migrations())
	proxy := testserver.NewProxy(t, cfg.Addr)
	direct := databasetest.Open(t, cfg.FormatDSN(), migrations())
	through := cfg.Clone()
	through.Addr = proxy.Addr()
	db := databasetest.Open(t, through.FormatDSN(), migrations())

	cut := proxy.CutAfter("\x03COMMIT") // COM_QUERY; the isolation level's name holds the word too
	runs := 0
	err := db.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		runs++
		_, err := tx.ExecContext(ctx, "INSERT INTO thing (id, n) VALUES ('a', 1)")
		return err
	})
	cut.Wait()
	require.ErrorIs(t, err, tcc.ErrUnavailable)
	require.Equal(t, 1, runs)
	require.Equal(t, 1, get(t, direct, "a"))

	cut = proxy.CutBefore("INSERT INTO thing")
	require.NoError(t, db.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO thing (id, n) VALUES ('b', 1)")
		return err
	}), "a connection lost before COMMIT is no matter")
	cut.Wait()
	require.Equal(t, 1, get(t, direct, "b"))
}

func TestTransactEndsWithItsContext(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO thing (id, n) VALUES ('a', 1)")
			cancel()
			return err
		})
		require.Error(t, err)
		require.Equal(t, -1, get(t, db, "a"))
	})
}
