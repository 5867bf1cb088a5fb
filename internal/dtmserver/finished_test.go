package dtmserver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
)

// The server deletes from a SQL store what ended longer ago than it is told to keep, and nothing else.
func TestWhatEndedLongAgoIsDeleted(t *testing.T) {
	t.Parallel()
	onEachSQL(t, func(t *testing.T, cfg *mysql.Config) {
		server := start(t, ours(), dtmserver.MySQL(cfg), "FINISHED_INTERVAL=100ms", "FINISHED_RETENTION=24h", "TRANS_CRON_INTERVAL=60")
		i, p := newInitiator(t, server), newParticipant(t)
		db := openDB(t, cfg)
		exec := func(query string, args ...any) {
			t.Helper()
			_, err := db.ExecContext(bounded(t), query, args...)
			require.NoError(t, err)
		}
		succeeded, failed, open, endedLately, recent := i.prepare(p), i.prepare(p), i.prepareLong(p), i.prepareLong(p), i.prepare(p)
		for _, gid := range []string{succeeded, recent, endedLately} {
			require.NoError(t, i.submit(gid))
			i.awaitStatus(gid, "succeed")
		}
		_, err := i.dtm.Abort(bounded(t), tcc(failed))
		require.NoError(t, err)
		i.awaitStatus(failed, "failed")

		age := func(column string, gids ...string) {
			for _, gid := range gids {
				exec("UPDATE trans_global SET "+column+" = "+column+" - INTERVAL 25 HOUR WHERE gid = ?", gid)
			}
		}
		age("create_time", succeeded, failed, open, endedLately)
		age("update_time", open) // first, for the others are deleted at any time from here on
		// More than the server looks at in one go, which come after what has to stay.
		many := make([]string, 1200)
		for n := range many {
			many[n] = fmt.Sprintf("('old-%d', 'tcc', 'succeed', '', 'grpc', NOW() - INTERVAL 30 DAY, NOW() - INTERVAL 25 HOUR)", n)
		}
		exec("INSERT INTO trans_branch_op (gid, url, branch_id, op, status) VALUES ('old-7', '', '01', 'confirm', 'succeed'), ('old-7', '', '01', 'cancel', 'prepared')")
		exec("INSERT INTO trans_global (gid, trans_type, status, query_prepared, protocol, create_time, update_time) VALUES " + strings.Join(many, ", "))
		exec("UPDATE trans_global SET id = id + 1000000 WHERE gid = ?", recent) // it was made last
		age("update_time", succeeded, failed)

		require.EventuallyWithT(t, func(c *assert.CollectT) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			rows, err := db.QueryContext(ctx, "SELECT gid FROM trans_global UNION ALL SELECT DISTINCT gid FROM trans_branch_op")
			if !assert.NoError(c, err) {
				return
			}
			defer rows.Close()
			var gids []string
			for rows.Next() {
				var gid string
				assert.NoError(c, rows.Scan(&gid))
				gids = append(gids, gid)
			}
			assert.NoError(c, rows.Err())
			assert.ElementsMatch(c, []string{open, endedLately, recent, open, endedLately, recent}, gids)
		}, bound, 50*time.Millisecond)
		require.NoError(t, i.submit(open))
		i.awaitStatus(open, "succeed")
		require.Contains(t, server.Log(), "transactions that ended more than 24h0m0s ago")
	})
}

// Who may not delete is told, and the server goes on.
func TestSweepingThatIsRefused(t *testing.T) {
	t.Parallel()
	onEachSQL(t, func(t *testing.T, cfg *mysql.Config) {
		server := start(t, ours(), dtmserver.MySQL(cfg), "FINISHED_INTERVAL=100ms")
		i, p := newInitiator(t, server), newParticipant(t)
		db := openDB(t, cfg)
		_, err := db.ExecContext(t.Context(), "CREATE TRIGGER no_delete BEFORE DELETE ON trans_global FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'you may not delete'")
		require.NoError(t, err)
		gid := i.prepare(p)
		require.NoError(t, i.submit(gid))
		i.awaitStatus(gid, "succeed")
		_, err = db.ExecContext(t.Context(), "UPDATE trans_global SET create_time = NOW() - INTERVAL 9 DAY, update_time = NOW() - INTERVAL 8 DAY")
		require.NoError(t, err)
		require.Eventually(t, func() bool { return strings.Contains(server.Log(), "you may not delete") }, bound, 50*time.Millisecond)
		var branches int
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM trans_branch_op WHERE gid = ?", gid).Scan(&branches))
		require.Equal(t, 4, branches, "its branches have stayed with it")
		next := i.prepare(p)
		require.NoError(t, i.submit(next))
		i.awaitStatus(next, "succeed")
	})
}
