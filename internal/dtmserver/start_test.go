package dtmserver_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/testserver"
)

func TestRestartKeepsPortsAndData(t *testing.T) {
	t.Parallel()
	for _, b := range []build{ours(), stock()} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			server := start(t, b, dtmserver.Bolt())
			i, p := newInitiator(t, server), newParticipant(t)
			gid := i.prepare(p)
			grpcAddr, httpURL, pid, done := server.GRPCAddr(), server.HTTPURL(), server.PID(), server.Done()

			require.NoError(t, server.Restart(bounded(t)))
			<-done
			require.NotEqual(t, pid, server.PID())
			require.Equal(t, []string{grpcAddr, httpURL}, []string{server.GRPCAddr(), server.HTTPURL()})
			require.Equal(t, "prepared", i.status(gid))

			require.NoError(t, server.Stop(bounded(t)))
			<-server.Done()
			require.NoError(t, server.Err(), "SIGTERM is an orderly end")
			require.NoError(t, server.Restart(bounded(t)), "after a Stop")
			require.Equal(t, "prepared", i.status(gid))
		})
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	free := func() string {
		port, err := freeport.Loopback()
		require.NoError(t, err)
		return (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
	}
	for name, change := range map[string]func(*dtmserver.Config){
		"http": func(c *dtmserver.Config) { c.HTTPAddr, c.GRPCAddr = taken.Addr().String(), free() },
		"grpc": func(c *dtmserver.Config) { c.HTTPAddr, c.GRPCAddr = free(), taken.Addr().String() },
	} {
		for _, b := range []build{ours(), stock()} {
			t.Run(name+" "+b.name, func(t *testing.T) {
				t.Parallel()
				started := time.Now()
				_, err := tryStart(t, b, change)
				require.ErrorContains(t, err, "a port is taken")
				require.ErrorContains(t, err, "address already in use")
				require.Less(t, time.Since(started), bound, "it must not run into its time limit")
			})
		}
	}
}

func TestWrongStore(t *testing.T) {
	t.Parallel()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	nobody := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
	mysqlAt := func(cfg *mysql.Config, change func(*mysql.Config)) dtmserver.Store {
		cfg = cfg.Clone()
		change(cfg)
		return dtmserver.MySQL(cfg)
	}
	for name, test := range map[string]struct {
		store func(*testing.T) dtmserver.Store
		want  []string
	}{
		"no redis there": {
			func(*testing.T) dtmserver.Store { return dtmserver.Redis(nobody, "") },
			[]string{"exit status 1", "the store did not answer within", "STORE_HOST", "connection refused"},
		},
		"no mysql there": {
			func(*testing.T) dtmserver.Store {
				return mysqlAt(mysql.NewConfig(), func(c *mysql.Config) { c.Net, c.Addr, c.User, c.DBName = "tcp", nobody, "u", "d" })
			},
			[]string{"exit status 1", "the store did not answer within", "STORE_HOST", "connection refused"},
		},
		"wrong password": {
			func(t *testing.T) dtmserver.Store {
				return mysqlAt(testserver.MySQL(t), func(c *mysql.Config) { c.Passwd = "wrong" })
			},
			[]string{"exit status 1", "Access denied"},
		},
		"a host alone": {
			func(*testing.T) dtmserver.Store { return dtmserver.Redis("localhost", "") },
			[]string{"want host:port"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tryStart(t, ours(), func(c *dtmserver.Config) {
				c.Store = test.store(t)
				c.Env = append(c.Env, "STORE_WAIT=1s")
			})
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "goroutine", "no stack trace")
		})
	}
}

func TestTwoServersOnOneBoltFile(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	_, err := tryStart(t, ours(), func(c *dtmserver.Config) { c.Dir = dir })
	require.NoError(t, err)
	_, err = tryStart(t, ours(), func(c *dtmserver.Config) { c.Dir = dir })
	require.ErrorContains(t, err, "another dtm-server has it open")
}

func TestBoltFileIsInItsFolderAndPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "not", "there", "yet")
	_, err := tryStart(t, ours(), func(c *dtmserver.Config) { c.Dir = dir })
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "dtm.bolt"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]string{
		"STORE_DRIVER=mongo":     "want boltdb, redis or mysql",
		"TRANS_CRON_INTERVAL=x":  "convert to int error: x",
		"TRANS_CRON_INTERVAL=-1": "at least 1 second",
		"RETRY_INTERVAL=1":       "RetryInterval should not be less than 10",
		"HTTP_PORT=99999":        "not a port",
		"STORE_WAIT=soon":        "want a duration",
		"STORE_MIGRATE=perhaps":  "want on or off",
		"STORE_DRIVER=redis":     "Redis host not valid",
	} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			_, err := tryStart(t, ours(), func(c *dtmserver.Config) { c.Env = append(c.Env, env) })
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, "exit status 2", "which tells systemd not to start it again")
			require.NotContains(t, err.Error(), "goroutine", "no stack trace")
		})
	}
}
