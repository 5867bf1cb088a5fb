package inbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/messaging/inbox"
)

// TestLeftOpen shows that what a work leaves open does not keep it from being
// committed.
func TestLeftOpen(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		g.exec("INSERT INTO effect (message_id, by_whom) VALUES ('x', 'test'), ('y', 'test')")
		var late *inbox.Tx
		box := g.open(g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				late = tx
				if err := effect(msg.UUID)(ctx, tx); err != nil {
					return err
				}
				stmt, err := tx.PrepareContext(ctx, "SELECT seq FROM effect WHERE message_id = ?") //nolint:sqlclosecheck // left open
				if err != nil {
					return err
				}
				var n int
				if err := stmt.QueryRowContext(ctx, "x").Scan(&n); err != nil {
					return err
				}
				switch msg.UUID {
				case "rows":
					rows, err := tx.QueryContext(ctx, "SELECT seq FROM effect") //nolint:rowserrcheck,sqlclosecheck // left open
					if err == nil && !rows.Next() {
						err = sql.ErrNoRows
					}
					return err
				case "row":
					return tx.QueryRowContext(ctx, "SELECT seq FROM effect").Err()
				}
				return nil
			}, nil
		}))
		for _, id := range []string{"rows", "row", "statement"} {
			require.NoError(t, box.Handle(newMessage(id)))
			row := g.row(id)
			require.Equal(t, inbox.Done, row.State, row.LastError)
			require.Equal(t, 1, row.Tries)
			require.Equal(t, 1, g.effects(id))
		}
		_, err := late.ExecContext(t.Context(), "DELETE FROM effect")
		require.ErrorIs(t, err, sql.ErrConnDone, "a transaction is used after its end")
	})
}

// TestWorkIgnoresItsEnd shows that a work which goes on after its time keeps no
// locks: its transaction is undone, and the message can be done elsewhere.
func TestWorkIgnoresItsEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *ground) {
		hangs, release := make(chan string, 1), make(chan struct{})
		var late error
		cfg := g.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
			return func(ctx context.Context, tx *inbox.Tx) error {
				if err := effect(msg.UUID)(ctx, tx); err != nil {
					return err
				}
				hangs <- msg.UUID
				<-release
				late = effect(msg.UUID)(context.WithoutCancel(ctx), tx)
				return nil
			}, nil
		})
		cfg.Timeout = 100 * time.Millisecond
		handled := make(chan error, 1)
		box := g.open(cfg)
		id := ""
		for n := 0; id == ""; n++ {
			go func() { handled <- box.Handle(newMessage(fmt.Sprint(n))) }()
			select {
			case id = <-hangs:
			case <-handled: // its time was over before its work began
			}
		}
		other := g.open(g.config(works))
		require.NoError(t, other.Handle(newMessage(id)))
		require.Equal(t, inbox.Done, g.row(id).State)
		close(release)
		require.NoError(t, <-handled)
		require.Error(t, late)
		require.Equal(t, 1, g.effects(id))
	})
}
