package dtmserver_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long a test waits for something that takes milliseconds, or, where DTM has to retry, seconds.
const bound = 40 * time.Second

// build is one way to build the server.
type build struct {
	name   string
	locate func(string) (string, error)
}

func ours() build  { return build{"ours", dtmserver.Locate} }
func stock() build { return build{"stock", dtmserver.LocateStock} }

func (b build) path(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs dtm-server, which -short leaves out")
	}
	path, err := b.locate("")
	require.NoError(t, err)
	return path
}

// start starts a server that the end of the test kills.
func start(t *testing.T, b build, store dtmserver.Store, env ...string) *dtmserver.Server {
	t.Helper()
	s, err := tryStart(t, b, func(c *dtmserver.Config) { c.Store = store; c.Env = append(c.Env, env...) })
	require.NoError(t, err)
	return s
}

func tryStart(t *testing.T, b build, change func(*dtmserver.Config)) (*dtmserver.Server, error) {
	t.Helper()
	cfg := dtmserver.Config{Binary: b.path(t), Dir: tempDir(t), Env: []string{"TRANS_CRON_INTERVAL=1"}}
	change(&cfg)
	s, err := dtmserver.Start(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the server's log:\n%s", s.Log())
			}
			require.NoError(t, s.Kill())
		})
	}
	return s, err
}

// tempDir is t.TempDir for a folder that a child process writes to until it is killed.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tcckit-dtm-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// onEachStore runs a test against DTM's stores, each on a real server.
func onEachStore(t *testing.T, test func(*testing.T, dtmserver.Store)) {
	t.Helper()
	for name, store := range map[string]func(*testing.T) dtmserver.Store{
		"boltdb":  func(*testing.T) dtmserver.Store { return dtmserver.Bolt() },
		"mysql":   func(t *testing.T) dtmserver.Store { return dtmserver.MySQL(testserver.MySQL(t)) },
		"mariadb": func(t *testing.T) dtmserver.Store { return dtmserver.MySQL(testserver.MariaDB(t)) },
		"redis": func(t *testing.T) dtmserver.Store {
			keys := testserver.Redis(t)
			return dtmserver.Redis(keys.Addr, keys.Prefix)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("needs dtm-server, which -short leaves out")
			}
			test(t, store(t))
		})
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}
