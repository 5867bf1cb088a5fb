package mysql_test

import (
	"context"
	"errors"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/tcc"
)

const pay = "UPDATE account SET available = available - ? WHERE id = 'a'"

// execs is a work that runs pay, for each amount.
func execs(amounts ...int) barrier.Work {
	return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
		for _, n := range amounts {
			res, err := tx.ExecContext(ctx, pay, n)
			if err != nil {
				return nil, err
			}
			if changed, err := res.RowsAffected(); err != nil || changed != 1 {
				return nil, errors.Join(errors.New("a result of something else"), err)
			}
		}
		return nil, nil
	}
}

// TestDirectTrips: work that begins with an Exec costs as many round trips as
// work that queues, one fewer than its statement in a bare transaction.
func TestDirectTrips(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		trips := countTrips(t, cfg)
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{MaxConns: 1})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		_, err = s.Do(t.Context(), call("g0", tcc.Try), execs(1))
		require.NoError(t, err)
		for i, d := range []struct {
			name string
			call barrier.Call
			work barrier.Work
			want int64
			left int
		}{
			{"try", call("g1", tcc.Try), execs(1), 2, 98},
			{"confirm", call("g1", tcc.Confirm), execs(1), 2, 97},
			{"try with two", call("g2", tcc.Try), execs(1, 1), 3, 95},
			{"cancel", call("g2", tcc.Cancel), execs(1), 2, 94},
			{"empty cancel", call("g3", tcc.Cancel), execs(1), 2, 94},
			{"a query first", call("g4", tcc.Try), func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				var n int
				if err := tx.QueryRowContext(ctx, "SELECT available FROM account WHERE id = 'a'").Scan(&n); err != nil {
					return nil, err
				}
				return execs(1)(ctx, tx)
			}, 4, 93},
			{"a question mark that is no argument", call("g5", tcc.Try), func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				_, err := tx.ExecContext(ctx, "UPDATE account SET available = available - 1 WHERE id = 'a' AND '?' <> ''")
				return nil, err
			}, 3, 92},
		} {
			before := trips.Load()
			_, err := s.Do(t.Context(), d.call, d.work)
			require.NoError(t, err, "%d: %s", i, d.name)
			require.Equal(t, d.want, trips.Load()-before, "round trips of %d: %s", i, d.name)
			var left int
			require.NoError(t, s.DB().QueryRowContext(t.Context(), "SELECT available FROM account WHERE id = 'a'").Scan(&left))
			require.Equal(t, d.left, left, d.name)
		}
	})
}

// TestDirectFailure: what work makes of its first statement's failure counts as
// if the barrier row had not gone with it.
func TestDirectFailure(t *testing.T) {
	onEach(t, func(t *testing.T, cfg *mysqldriver.Config) {
		exec(t, cfg, "CREATE TABLE ledger (id INT AUTO_INCREMENT PRIMARY KEY, entry VARCHAR(16) UNIQUE)")
		exec(t, cfg, "INSERT INTO ledger (entry) VALUES ('taken')")
		s, err := mysql.Open(t.Context(), cfg, mysql.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		enter := func(entry string, otherwise error) barrier.Work {
			return func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
				res, err := tx.ExecContext(ctx, "INSERT INTO ledger (entry) VALUES (?)", entry)
				if err != nil {
					return nil, otherwise
				}
				id, err := res.LastInsertId()
				if err != nil || id < 2 {
					return nil, errors.Join(errors.New("no id"), err)
				}
				return execs(1)(ctx, tx)
			}
		}
		do := func(gid string, phase tcc.Phase, w barrier.Work) error {
			_, err := s.Do(t.Context(), call(gid, phase), w)
			return err
		}
		require.NoError(t, do("ok", tcc.Try, enter("free", nil)))

		var r *tcc.Rejection
		taken := tcc.Reject("TAKEN", "", nil)
		require.ErrorAs(t, do("rejected", tcc.Try, enter("taken", taken)), &r)
		require.ErrorAs(t, do("rejected", tcc.Try, enter("other", nil)), &r, "it sticks")
		require.Equal(t, "TAKEN", r.Reason)
		require.NoError(t, do("rejected", tcc.Cancel, enter("other", nil)))

		require.ErrorContains(t, do("ignored", tcc.Try, enter("taken", nil)), "the work went on after a statement failed")
		var dup *mysqldriver.MySQLError
		require.ErrorAs(t, do("failed", tcc.Try, func(ctx context.Context, tx barrier.Tx) ([]byte, error) {
			_, err := tx.ExecContext(ctx, "INSERT INTO ledger (entry) VALUES (?)", "taken")
			return nil, err
		}), &dup)
		var rows int
		require.NoError(t, s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM sub_transaction_barrier WHERE gid IN ('ignored', 'failed')").Scan(&rows))
		require.Zero(t, rows)
		require.NoError(t, s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM ledger").Scan(&rows))
		require.Equal(t, 2, rows)

		// The row forbids the phase: the statement that went with it is undone.
		require.NoError(t, do("empty", tcc.Cancel, enter("empty", nil)))
		require.NoError(t, do("empty", tcc.Cancel, enter("empty", nil)))
		var late *barrier.LateTryError
		require.ErrorAs(t, do("empty", tcc.Try, enter("late", nil)), &late)
		var conflict *tcc.ConflictError
		require.ErrorAs(t, do("empty", tcc.Confirm, enter("conflict", nil)), &conflict)
		require.NoError(t, do("ok", tcc.Try, enter("again", nil)), "a duplicate")
		require.NoError(t, s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM ledger").Scan(&rows))
		require.Equal(t, 2, rows)
	})
}
