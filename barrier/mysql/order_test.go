package mysql_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/tcc"
)

// TestGroupKeepsTogetherWhatRefersToTheStatementBefore: sorted by their keys, a
// LAST_INSERT_ID would be that of another branch.
func TestGroupKeepsTogetherWhatRefersToTheStatementBefore(t *testing.T) {
	onEachGrouped(t, mysql.Options{}, func(t *testing.T, g *grouped) {
		g.exec("CREATE TABLE head (id INT AUTO_INCREMENT PRIMARY KEY, gid VARCHAR(16))")
		g.exec("CREATE TABLE line (head INT, gid VARCHAR(16))")
		release := g.busy()
		var all []*sent
		for _, gid := range gids("t", 0, 10) {
			all = append(all, g.queue(gid, tcc.Try, func(_ context.Context, tx barrier.Tx) ([]byte, error) {
				tx.Queue(barrier.Stmt{Query: "INSERT INTO head (gid) VALUES (?)", Args: []any{gid}, Key: "head", Rows: 1})
				tx.Queue(barrier.Stmt{Query: "INSERT INTO line (head, gid) VALUES (last_insert_id(), ?)", Args: []any{gid}, Key: "line", Rows: 1})
				return nil, nil
			}))
		}
		release()
		for _, s := range all {
			require.NoError(t, s.wait())
		}
		var pairs int
		require.NoError(t, g.admin.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM head JOIN line ON line.head = head.id AND line.gid = head.gid").Scan(&pairs))
		require.Equal(t, 10, pairs)
	})
}
