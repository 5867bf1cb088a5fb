package database_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		put(t, db, "a", 0)
		var runs atomic.Int64
		add := func(id, body string, fail error) (int64, error) {
			resp, err := database.Once(t.Context(), db, id, database.Fingerprint(body), func(ctx context.Context, tx *sql.Tx) (*wrapperspb.Int64Value, error) {
				runs.Add(1)
				if _, err := tx.ExecContext(ctx, "UPDATE thing SET n = n + 1 WHERE id = 'a'"); err != nil {
					return nil, err
				}
				var n int64
				err := tx.QueryRowContext(ctx, "SELECT n FROM thing WHERE id = 'a'").Scan(&n)
				return wrapperspb.Int64(n), errors.Join(err, fail)
			})
			return resp.GetValue(), err
		}

		own := errors.New("own")
		_, err := add("r1", "body", own)
		require.ErrorIs(t, err, own)
		require.Equal(t, 0, get(t, db, "a"), "work that fails leaves nothing, not even its id")

		for range 3 {
			n, err := add("r1", "body", nil)
			require.NoError(t, err)
			require.Equal(t, int64(1), n)
		}
		_, err = add("r1", "another", nil)
		require.ErrorIs(t, err, database.ErrReused)
		_, err = add("R1", "another", nil)
		require.NoError(t, err, "ids are told apart by case")
		require.Equal(t, 2, get(t, db, "a"))

		var all sync.WaitGroup
		answers, errs := make([]int64, 16), make([]error, 16)
		for i := range answers {
			all.Go(func() { answers[i], errs[i] = add("r2", "body", nil) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		for _, n := range answers {
			require.Equal(t, int64(3), n)
		}
		require.Equal(t, 3, get(t, db, "a"))
	})
}

// Others may insert first more than once: the row that work looked for, then
// the request itself.
func TestOnceAfterDuplicates(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		put(t, db, "a", 0)
		runs, others := 0, 3
		call := func(id string) error {
			_, err := database.Once(t.Context(), db, id, database.Fingerprint("body"), func(ctx context.Context, tx *sql.Tx) (*wrapperspb.Int64Value, error) {
				if runs++; runs > others {
					return wrapperspb.Int64(7), nil
				}
				_, err := tx.ExecContext(ctx, "INSERT INTO thing (id, n) VALUES ('a', 1)")
				return nil, err
			})
			return err
		}
		require.NoError(t, call("r1"))
		require.Equal(t, others+1, runs)

		others = math.MaxInt
		require.True(t, database.IsDuplicate(call("r2")), "it does not try for ever")
	})
}

// A call that looked before another one of the same request committed meets what
// that has done, such as an account that is closed already. On SQLite the second
// one waits for the first.
func TestOnceAnswersWhatTheSameRequestDidMeanwhile(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations(), func(t *testing.T, db *database.DB) {
		if db.Dialect() == database.SQLite {
			t.Skip("one writes at a time")
		}
		put(t, db, "a", 0)
		type work = func(ctx context.Context, tx *sql.Tx) (*wrapperspb.Int64Value, error)
		first := func(ctx context.Context, tx *sql.Tx) (*wrapperspb.Int64Value, error) {
			_, err := tx.ExecContext(ctx, "UPDATE thing SET n = 1 WHERE id = 'a' AND n = 0")
			return wrapperspb.Int64(7), err
		}
		refused := errors.New("it is done already")
		slow := func(id, body string) work {
			return func(ctx context.Context, _ *sql.Tx) (*wrapperspb.Int64Value, error) {
				_, err := database.Once(ctx, db, id, database.Fingerprint(body), first)
				return nil, errors.Join(err, refused)
			}
		}
		resp, err := database.Once(t.Context(), db, "r1", database.Fingerprint("body"), slow("r1", "body"))
		require.NoError(t, err)
		require.Equal(t, int64(7), resp.GetValue())
		_, err = database.Once(t.Context(), db, "r2", database.Fingerprint("body"), slow("r2", "another"))
		require.ErrorIs(t, err, database.ErrReused)
		_, err = database.Once(t.Context(), db, "r3", database.Fingerprint("body"), slow("r4", "body"))
		require.ErrorIs(t, err, refused)
	})
}

func TestFingerprintTellsFieldsApart(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, database.Fingerprint("ab", "c"), database.Fingerprint("a", "bc"))
	require.NotEqual(t, database.Fingerprint("a"), database.Fingerprint("a", ""))
	require.Equal(t, "3c9d5910", hex.EncodeToString(database.Fingerprint("a", "b")[:4]), "it is stored: it must stay the same")
	require.Len(t, database.Fingerprint(), 32)
}
