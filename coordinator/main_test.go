package coordinator_test

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for DTM's retries and timeouts rather than compute, so
	// more of them than there are cores may run at once.
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// bound is how long a test waits for what takes milliseconds, or, where DTM has
// to retry or to time out, seconds.
const bound = 60 * time.Second

// dtm is a DTM server that the cases of one build and store share.
type dtm struct {
	*dtmserver.Server
	binary string
	stock  bool
	sql    bool
	store  func(*testing.T) dtmserver.Store
}

// onEachDTM runs a test against the stock build and ours, on each store.
func onEachDTM(t *testing.T, test func(*testing.T, *dtm)) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs dtm-server and its stores, which -short leaves out")
	}
	stores := map[string]func(*testing.T) dtmserver.Store{
		"boltdb": func(*testing.T) dtmserver.Store { return dtmserver.Bolt() },
		"mysql":  func(t *testing.T) dtmserver.Store { return dtmserver.MySQL(testserver.MySQL(t)) },
		"redis": func(t *testing.T) dtmserver.Store {
			keys := testserver.Redis(t)
			return dtmserver.Redis(keys.Addr, keys.Prefix)
		},
	}
	for build, locate := range map[string]func(string) (string, error){"ours": dtmserver.Locate, "stock": dtmserver.LocateStock} {
		for name, store := range stores {
			t.Run(build+"/"+name, func(t *testing.T) {
				t.Parallel()
				binary, err := locate("")
				require.NoError(t, err)
				d := &dtm{binary: binary, stock: build == "stock", sql: name == "mysql", store: store}
				d.start(t)
				test(t, d)
			})
		}
	}
}

// start starts the server; the end of the test kills it.
func (d *dtm) start(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tcckit-coordinator-") // not t.TempDir: the server writes until it is killed
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	d.Server, err = dtmserver.Start(t.Context(), dtmserver.Config{
		Binary: d.binary, Dir: dir, Store: d.store(t), Env: []string{"TRANS_CRON_INTERVAL=1"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Kill()) })
}

// own starts another server of the same kind, for a test that kills it.
func (d *dtm) own(t *testing.T) *dtm {
	t.Helper()
	o := *d
	o.start(t)
	return &o
}

// client returns a client of the server itself.
func (d *dtm) client(t *testing.T, change ...func(*coordinator.Config)) *coordinator.Client {
	t.Helper()
	return newClient(t, dial(t, d.GRPCAddr()), d.HTTPURL(), change...)
}

func newClient(t testing.TB, conn grpc.ClientConnInterface, httpURL string, change ...func(*coordinator.Config)) *coordinator.Client {
	t.Helper()
	// DTM looks at a transaction after its retry interval even if it is in the
	// middle of it, and then calls the branches twice; not so in these tests
	// unless they want a retry.
	cfg := coordinator.Config{Conn: conn, HTTPURL: httpURL, RetryInterval: time.Minute, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := coordinator.New(cfg)
	require.NoError(t, err)
	return c
}

// retryEverySecond makes DTM retry soon.
func retryEverySecond(cfg *coordinator.Config) { cfg.RetryInterval = time.Second }

func dial(t testing.TB, addr string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition.
func eventually(t testing.TB, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventuallyf(t, condition, bound, 20*time.Millisecond, what, args...)
}

// awaitStatus polls the coordinator until the transaction has the status.
func awaitStatus(t testing.TB, c *coordinator.Client, gid string, want coordinator.Status) *coordinator.Info {
	t.Helper()
	var last *coordinator.Info
	eventually(t, func() bool {
		var err error
		last, err = c.Query(t.Context(), gid)
		return err == nil && last.Status == want
	}, "transaction %s did not become %q", gid, want)
	return last
}
