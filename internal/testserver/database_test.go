package testserver_test

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// databases are what each test of SQL servers runs on.
var databases = map[string]func(testing.TB) *mysql.Config{
	"mysql":   testserver.MySQL,
	"mariadb": testserver.MariaDB,
}

func open(t testing.TB, cfg *mysql.Config) *sql.DB {
	t.Helper()
	cfg = cfg.Clone()
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func mustExec(t testing.TB, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, query string, args ...any,
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := db.ExecContext(ctx, query, args...)
	require.NoError(t, err)
}

func forEachDatabase(t *testing.T, test func(t *testing.T, database func(testing.TB) *mysql.Config)) {
	t.Helper()
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, database)
		})
	}
}

func TestDatabaseIsTheTestsOwnAndGoesAway(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, database func(testing.TB) *mysql.Config) {
		var first string
		t.Run("inner", func(t *testing.T) {
			a, b := database(t), database(t)
			first = a.DBName
			require.NotEqual(t, a.DBName, b.DBName)
			mustExec(t, open(t, a), "CREATE TABLE t (id INT)")
			mustExec(t, open(t, b), "CREATE TABLE t (id INT)")
		})
		cfg := database(t)
		cfg.DBName = first
		err := open(t, cfg).PingContext(t.Context())
		require.ErrorContains(t, err, "Unknown database")
	})
}

func TestNoOpenTransactionsWaitsForTheTestsOwn(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, database func(testing.TB) *mysql.Config) {
		mine, others := database(t), database(t)
		begin(t, open(t, others), "other") // stays open
		testserver.NoOpenTransactions(t, mine)

		tx := begin(t, open(t, mine), "mine")
		failed := failure(t, func(t testing.TB) { testserver.NoOpenTransactionsWithin(t, mine, 300*time.Millisecond) })
		require.Contains(t, failed, "waiting for no open transaction in "+mine.DBName)
		require.Contains(t, failed, "thread")

		require.NoError(t, tx.Rollback())
		testserver.NoOpenTransactions(t, mine)
	})
}

// begin creates a table of one row and opens a transaction that has changed it.
func begin(t testing.TB, db *sql.DB, table string) *sql.Tx {
	t.Helper()
	mustExec(t, db, "CREATE TABLE "+table+" (id INT PRIMARY KEY, n INT) ENGINE=InnoDB")
	mustExec(t, db, "INSERT INTO "+table+" VALUES (1, 0)")
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	mustExec(t, tx, "UPDATE "+table+" SET n = 1 WHERE id = 1")
	return tx
}

func TestLockWaitsSeesAStatementThatWaits(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, database func(testing.TB) *mysql.Config) {
		cfg := database(t)
		db := open(t, cfg)
		tx := begin(t, db, "t")
		done := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(context.WithoutCancel(t.Context()), "UPDATE t SET n = 2 WHERE id = 1")
			done <- err
		}()
		testserver.LockWaits(t, cfg, 1)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)
		testserver.NoOpenTransactions(t, cfg)
	})
}

// TestConnectionThatHoldsALockIsNamed leaves a connection in the database that is to be dropped.
func TestConnectionThatHoldsALockIsNamed(t *testing.T) {
	t.Parallel()
	forEachDatabase(t, func(t *testing.T, database func(testing.TB) *mysql.Config) {
		cfg := database(t)
		tx, db := begin(t, open(t, cfg), "t"), open(t, cfg)
		// A statement with bytes that are no UTF-8, which MySQL's own table of processes stumbles over.
		odd := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(context.WithoutCancel(t.Context()), "UPDATE t SET n = LENGTH(_binary '\xff') WHERE id = 1")
			odd <- err
		}()
		testserver.LockWaits(t, cfg, 1)
		failed := failure(t, func(t testing.TB) { testserver.DropDatabaseWithin(t, cfg, time.Second) })
		require.Contains(t, failed, "Lock wait timeout exceeded")
		require.Contains(t, failed, "thread ")
		require.NoError(t, tx.Rollback())
		require.NoError(t, <-odd)
	})
}

func TestKeyspaceIsTheTestsOwnAndGoesAway(t *testing.T) {
	t.Parallel()
	var inner testserver.Keyspace
	t.Run("inner", func(t *testing.T) {
		inner = testserver.Redis(t)
		require.NoError(t, openRedis(t, inner.Addr).Set(t.Context(), inner.Prefix+"k", "v", 0).Err())
	})
	own := testserver.Redis(t)
	require.NotEqual(t, inner.Prefix, own.Prefix)
	require.ErrorIs(t, openRedis(t, own.Addr).Get(t.Context(), inner.Prefix+"k").Err(), redis.Nil)
}

func openRedis(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// TestMissingAddressFails runs this test program without the environment's addresses.
func TestMissingAddressFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("would see the tests skip, as -short has them do")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestDatabaseIsTheTestsOwnAndGoesAway$")
	cmd.Env = append(os.Environ(), testserver.EnvMySQL+"=", testserver.EnvMariaDB+"=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), testserver.EnvMySQL+" is not set")
	require.Contains(t, string(out), "make test")
}
