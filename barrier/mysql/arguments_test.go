package mysql_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/tcc"
)

// TestGroupKeepsWhatArgumentsWere: a batch goes on without a caller who left it,
// and may send its statements again, when the caller uses its buffers again.
func TestGroupKeepsWhatArgumentsWere(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		g.exec("CREATE TABLE memo (id VARCHAR(16) PRIMARY KEY, body VARCHAR(64))")
		type named []byte
		bytes, raw, own := []byte("bytes"), json.RawMessage(`"raw"`), named("named")
		text, number := "pointer", 7
		args := map[string]any{"bytes": bytes, "raw": raw, "named": own, "pointer": &text, "number": &number}
		release := g.busy()
		leaver := g.queue("t001", tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
			for id, arg := range args {
				tx.Queue(barrier.Stmt{Query: "INSERT INTO memo (id, body) VALUES (?, ?)", Args: []any{id, arg}, Key: id, Rows: 1})
			}
			return nil, nil
		})
		// The batch waits for a row, and is run again without one branch.
		free := g.hold("100")
		slow := g.queue("t100", tcc.Try, taking(tcc.Try, "100", 1))
		bad := g.queue("t101", tcc.Confirm, taking(tcc.Confirm, "101", 1))
		release()
		testserver.LockWaits(t, g.cfg, 1)
		leaver.cancel()
		require.ErrorIs(t, leaver.wait(), context.Canceled)
		for _, b := range [][]byte{bytes, raw, own} {
			clear(b)
		}
		text, number = "", 0
		free()
		require.NoError(t, slow.wait())
		require.Error(t, bad.wait())
		require.Equal(t, barrier.Tried, g.state("t001"))
		for id, want := range map[string]string{"bytes": "bytes", "raw": `"raw"`, "named": "named", "pointer": "pointer", "number": "7"} {
			var got string
			require.NoError(t, g.admin.QueryRowContext(t.Context(), "SELECT body FROM memo WHERE id = ?", id).Scan(&got))
			require.Equal(t, want, got, id)
		}
	})
}
