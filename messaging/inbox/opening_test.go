package inbox_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/inbox"
)

// record is the statement of effect, with an argument in place of its literal.
const record = "INSERT INTO effect (message_id, by_whom) VALUES (?, ?)"

// TestOpening shows what the row's going together with the first statement of the
// work costs, in calls of the driver without those that end a transaction in vain,
// and that it changes nothing: neither what the work sees nor what is left.
func TestOpening(t *testing.T) {
	t.Parallel()
	errRefused := errors.New("the work says no")
	for _, c := range []struct {
		name    string
		work    inbox.Work
		trips   int64
		effects int
		fails   bool
	}{
		{name: "the work begins with an Exec", trips: 2, effects: 1, work: effect("m")},
		{name: "of two", trips: 3, effects: 2, work: func(ctx context.Context, tx *inbox.Tx) error {
			return errors.Join(effect("m")(ctx, tx), effect("m")(ctx, tx))
		}},
		{name: "with a Query", trips: 4, effects: 1, work: func(ctx context.Context, tx *inbox.Tx) error {
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM effect").Scan(&n); err != nil {
				return err
			}
			return effect("m")(ctx, tx)
		}},
		{name: "with a question mark that is no argument", trips: 3, effects: 1, work: func(ctx context.Context, tx *inbox.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO effect (message_id, by_whom) VALUES ('m', 'who?')")
			return err
		}},
		{name: "it has no statement", trips: 2, work: func(context.Context, *inbox.Tx) error { return nil }},
		{name: "it is none", trips: 2},
		{name: "it says no before any statement", trips: -1, fails: true, work: func(context.Context, *inbox.Tx) error { return errRefused }},
		{name: "its statement fails, and it does", trips: -1, fails: true, work: func(ctx context.Context, tx *inbox.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO nowhere VALUES (1)")
			return err
		}},
		{name: "its statement meets a row, and it goes on", trips: -1, effects: 1, work: func(ctx context.Context, tx *inbox.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO once (id) VALUES (?)", "taken")
			if err == nil {
				return errors.New("it took what is taken")
			}
			return effect("m")(ctx, tx)
		}},
		{name: "its statement is wrong, and it goes on", trips: -1, effects: 1, work: func(ctx context.Context, tx *inbox.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO nowhere (id) VALUES (?)", "x"); err == nil {
				return errors.New("it took what is nowhere")
			}
			return effect("m")(ctx, tx)
		}},
		{name: "it hears how many rows and which key", trips: 3, effects: 2, work: func(ctx context.Context, tx *inbox.Tx) error {
			first, err := tx.ExecContext(ctx, record, "m", "first")
			if err != nil {
				return err
			}
			second, err := tx.ExecContext(ctx, record, "m", "second")
			if err != nil {
				return err
			}
			a, aErr := first.LastInsertId()
			b, bErr := second.LastInsertId()
			n, nErr := first.RowsAffected()
			if err := errors.Join(aErr, bErr, nErr); err != nil {
				return err
			}
			if b <= a || n != 1 {
				return errors.New("the result is another statement's")
			}
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, g *ground) {
				g.exec("CREATE TABLE once (id VARCHAR(16) PRIMARY KEY)")
				g.exec("INSERT INTO once VALUES ('taken')")
				m := new(mortal)
				db, err := m.open(g.kind, g.source)
				require.NoError(t, err)
				defer func() { require.NoError(t, db.Close()) }()
				cfg := g.config(func(context.Context, *message.Message) (inbox.Work, error) { return c.work, nil })
				cfg.DB = db
				box := g.open(cfg)
				m.calls.Store(0)
				require.NoError(t, box.Handle(newMessage("m")))
				if c.trips > 0 && g.kind != onSQLite {
					require.Equal(t, c.trips, m.calls.Load())
				}
				state := inbox.Done
				if c.fails {
					state = inbox.Parked
				}
				row := g.row("m")
				require.Equal(t, state, row.State, row.LastError)
				require.Equal(t, 1, row.Tries)
				require.Equal(t, c.effects, g.effects("m"))

				require.NoError(t, box.Handle(newMessage("m")), "a duplicate")
				again := g.row("m")
				require.Equal(t, row, again)
				require.Equal(t, c.effects, g.effects("m"))
			})
		})
	}
}

// TestRefusedBeginning shows that a work which ignores its first error gets no
// further, and takes no effect.
func TestRefusedBeginning(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		var after error
		box := g.open(g.config(func(context.Context, *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				first := effect("m")(ctx, tx)
				if err := effect("m")(ctx, tx); first != nil {
					after = err
				}
				return nil
			}, nil
		}))
		require.NoError(t, box.Handle(newMessage("m")))
		require.NoError(t, box.Handle(newMessage("m")))
		require.Equal(t, 2, g.effects("m"))
		if g.kind != onSQLite { // where a duplicate's work does not begin
			require.ErrorIs(t, after, sql.ErrConnDone)
		}
	})
}
