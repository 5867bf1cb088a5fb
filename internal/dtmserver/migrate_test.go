package dtmserver_test

import (
	"database/sql"
	"net"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

func onEachSQL(t *testing.T, test func(*testing.T, *mysql.Config)) {
	t.Helper()
	t.Run("mysql", func(t *testing.T) { t.Parallel(); test(t, testserver.MySQL(t)) })
	t.Run("mariadb", func(t *testing.T) { t.Parallel(); test(t, testserver.MariaDB(t)) })
}

// storeEnv is the environment for the binary run by hand.
func storeEnv(t *testing.T, cfg *mysql.Config) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(cfg.Addr)
	require.NoError(t, err)
	return []string{
		"STORE_DRIVER=mysql", "STORE_HOST=" + host, "STORE_PORT=" + port,
		"STORE_USER=" + cfg.User, "STORE_PASSWORD=" + cfg.Passwd, "STORE_DB=" + cfg.DBName,
	}
}

func openDB(t *testing.T, cfg *mysql.Config) *sql.DB {
	t.Helper()
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestMigrateOverLiveRows(t *testing.T) {
	t.Parallel()
	onEachSQL(t, func(t *testing.T, cfg *mysql.Config) {
		server := start(t, ours(), dtmserver.MySQL(cfg)) // migrates at start
		i, p := newInitiator(t, server), newParticipant(t)
		gid := i.prepare(p)
		for range 2 {
			out, err := command(t, storeEnv(t, cfg), "migrate").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "the tables of database "+cfg.DBName+" are there")
		}
		require.NoError(t, server.Restart(bounded(t)))
		require.Equal(t, "prepared", i.status(gid))
		var branches int
		require.NoError(t, openDB(t, cfg).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM trans_branch_op WHERE gid = ?", gid).Scan(&branches))
		require.Equal(t, 4, branches, "a confirm and a cancel of each")
		require.NoError(t, i.submit(gid))
		i.awaitStatus(gid, "succeed")
	})
}

func TestMigrationsAtOnceIntoANewDatabase(t *testing.T) {
	t.Parallel()
	onEachSQL(t, func(t *testing.T, cfg *mysql.Config) {
		db := openDB(t, cfg)
		_, err := db.ExecContext(t.Context(), "DROP DATABASE `"+cfg.DBName+"`") // the test's end drops it again
		require.NoError(t, err)
		var wg sync.WaitGroup
		outs, errs := make([][]byte, 4), make([]error, 4)
		for n := range errs {
			cmd := command(t, storeEnv(t, cfg), "migrate")
			wg.Go(func() { outs[n], errs[n] = cmd.CombinedOutput() })
		}
		wg.Wait()
		for n, err := range errs {
			require.NoError(t, err, "%s", outs[n])
		}
		var collations int
		require.NoError(t, db.QueryRowContext(t.Context(),
			"SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = ? AND column_name IN ('gid', 'branch_id') AND collation_name = 'utf8mb4_bin'",
			cfg.DBName).Scan(&collations))
		require.Equal(t, 3, collations, "gids that differ in case are different gids")
	})
}

// A server that may not create tables says which are missing and what to do, and needs no such right when
// they are there.
func TestWithoutTheRightToCreate(t *testing.T) {
	t.Parallel()
	onEachSQL(t, func(t *testing.T, cfg *mysql.Config) {
		refused := func(c *dtmserver.Config) {
			c.Store = dtmserver.MySQL(cfg)
			c.Env = append(c.Env, "STORE_MIGRATE=off")
		}
		_, err := tryStart(t, ours(), refused)
		require.ErrorContains(t, err, "table missing in database "+cfg.DBName+": trans_global, trans_branch_op, kv; run dtm-server migrate")

		out, err := command(t, storeEnv(t, cfg), "migrate").CombinedOutput()
		require.NoError(t, err, "%s", out)
		_, err = tryStart(t, ours(), refused)
		require.NoError(t, err)

		db := openDB(t, cfg)
		user := "u" + cfg.DBName[len(cfg.DBName)-10:]
		for _, statement := range []string{
			"CREATE USER '" + user + "'@'%' IDENTIFIED BY 'pw'",
			"GRANT SELECT, INSERT, UPDATE, DELETE ON `" + cfg.DBName + "`.* TO '" + user + "'@'%'",
		} {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		defer func() {
			_, err := db.ExecContext(t.Context(), "DROP USER '"+user+"'@'%'")
			require.NoError(t, err)
		}()
		poor := cfg.Clone()
		poor.User, poor.Passwd = user, "pw"
		_, err = tryStart(t, ours(), func(c *dtmserver.Config) { c.Store = dtmserver.MySQL(poor) })
		require.NoError(t, err)
	})
}

// What DTM's own schema refuses: options and reasons over 1024 characters, requests over 64 KB.
func TestSchemaHoldsLongValues(t *testing.T) {
	t.Parallel()
	onEachSQL(t, func(t *testing.T, cfg *mysql.Config) {
		i, p := newInitiator(t, start(t, ours(), dtmserver.MySQL(cfg))), newParticipant(t)
		gid := i.prepareLong(p)
		request := tcc(gid)
		request.RollbackReason = long(5000)
		_, err := i.dtm.Abort(bounded(t), request)
		require.NoError(t, err)
		i.awaitStatus(gid, "failed")
		require.Equal(t, []string{"01 Cancel"}, p.received(gid))
	})
}
