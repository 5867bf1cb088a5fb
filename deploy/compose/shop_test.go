package compose_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// bound is how long the test waits for anything.
const bound = 60 * time.Second

// envImages names the folder that `make images` fills.
const envImages = "TCCKIT_TEST_IMAGES"

// TestTheShopStartsFromItsImages runs what deploy/compose.yaml says of our own images, as it says it, from the
// images' file systems alone, with a real MySQL and a real RocketMQ in place of theirs: it migrates, starts in
// order, by mutual TLS, places an order and looks at the books, and ends.
func TestTheShopStartsFromItsImages(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers, which -short leaves out")
	}
	if os.Getuid() != 0 {
		t.Fatal("only root may make a read-only root and become the image's user: run it as root, or by `unshare -r`")
	}
	images := os.Getenv(envImages)
	if images == "" {
		images = filepath.Join("..", "..", ".cache", "images")
	}
	w := newWorld(t, images)

	for _, name := range []string{"migrate", "dtm-migrate"} {
		w.containers[name].once(t)
		w.containers[name].once(t) // again does no harm
	}
	w.startAll(t)
	for _, name := range w.serving {
		w.containers[name].requireUnprivileged(t)
		w.requireNoProgramBeside(t, name)
	}
	t.Log(w.containers["smoke"].once(t))
	w.checkMetrics(t)
	w.stopAll(t)
	for _, c := range w.containers {
		c.requireUntouched(t)
	}
}

// world is the shop and what stands for the containers that others make.
type world struct {
	project    *types.Project
	containers map[string]*container
	serving    []string // in the order of their start
}

func newWorld(t *testing.T, archives string) *world {
	t.Helper()
	work, err := os.MkdirTemp("", "tcckit-images-") // not t.TempDir: processes write there until they are gone
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the logs are in %s", work)
			return
		}
		require.NoError(t, os.RemoveAll(work))
	})
	require.NoError(t, os.Chmod(work, 0o755))
	unpacked := make(map[string]image)
	for _, name := range []string{"tcckit", "dtm-server"} {
		unpacked[name] = unpack(t, filepath.Join(archives, name+".tar"), filepath.Join(work, "image", name))
	}
	w := &world{
		project:    loadProject(t, filepath.Join(work, "init"), filepath.Join(work, "image", "dtm-server", "dtm-server")),
		containers: make(map[string]*container),
	}
	names := slices.Sorted(maps.Keys(w.project.Services))
	addrs := make(map[string]string)
	var hosts strings.Builder
	fmt.Fprintln(&hosts, "127.0.0.1 localhost")
	for i, name := range names {
		// Of this process alone: several tests may run on the machine.
		addrs[name] = fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()>>8&127, os.Getpid()&255, i+1)
		fmt.Fprintln(&hosts, addrs[name], name)
	}
	w.startMySQL(t, addrs["mysql"]+":3306")
	forward(t, addrs["rocketmq-names"]+":9876", os.Getenv(testserver.EnvRocketMQ))
	for _, name := range names {
		repository, _, _ := strings.Cut(w.project.Services[name].Image, ":")
		if img, ours := unpacked[filepath.Base(repository)]; ours {
			c := newContainer(t, w.project, name, img, work, addrs[name], hosts.String())
			// Nothing may outlive the test, on a broker that others use the names are its own, and what is done
			// every hour is to be seen.
			c.env = append(c.env, "TCCKIT_STOP_WITH_STDIN=true", "DTM_DIE_WITH_STDIN=1", fmt.Sprintf("TCCKIT_ROCKETMQ_PREFIX=compose-%d-", os.Getpid()),
				"TCCKIT_SWEEP_INTERVAL=1s", "TCCKIT_RESOLVE_INTERVAL=1s")
			w.containers[name] = c
		}
	}
	return w
}

// startMySQL starts one and has it do what init.sh wrote for the first start of the container.
func (w *world) startMySQL(t *testing.T, addr string) {
	t.Helper()
	server := testserver.StartMySQL(t)
	root := server.Database()
	root.MultiStatements = true
	connector, err := mysql.NewConnector(root)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	defer func() { require.NoError(t, db.Close()) }()
	script, err := os.ReadFile(w.project.Secrets["mysql-init"].File)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), string(script))
	require.NoError(t, err)
	forward(t, addr, server.Addr())
}

// startAll starts what serves, each after what it depends on.
func (w *world) startAll(t *testing.T) {
	t.Helper()
	for len(w.serving) < w.servers() {
		started := len(w.serving)
		for _, name := range slices.Sorted(maps.Keys(w.containers)) {
			c := w.containers[name]
			if isOneShot(c.service) || slices.Contains(w.serving, name) || !w.mayStart(c) {
				continue
			}
			c.start(t)
			c.awaitHealthy(t)
			w.serving = append(w.serving, name)
		}
		require.Greater(t, len(w.serving), started, "the rest waits for each other")
	}
}

func (w *world) servers() int {
	n := 0
	for _, c := range w.containers {
		if !isOneShot(c.service) {
			n++
		}
	}
	return n
}

// mayStart says whether what a service depends on is there; servers of others and one-shots are.
func (w *world) mayStart(c *container) bool {
	for on := range c.service.DependsOn {
		if other := w.containers[on]; other != nil && !isOneShot(other.service) && !slices.Contains(w.serving, on) {
			return false
		}
	}
	return true
}

// requireNoProgramBeside looks for what could be run in a container other than its program.
func (w *world) requireNoProgramBeside(t *testing.T, name string) {
	t.Helper()
	c := w.containers[name]
	for file, what := range c.list(t) {
		if strings.HasPrefix(what, "-") && strings.Contains(what[:10], "x") {
			assert.Equal(t, strings.TrimPrefix(c.entrypoint[0], "/"), file, "%s: a program", name)
		}
	}
}

// stopAll stops what serves, the last one first.
func (w *world) stopAll(t *testing.T) {
	t.Helper()
	for _, name := range slices.Backward(w.serving) {
		c := w.containers[name]
		require.NoError(t, c.process.Stop(context.WithoutCancel(t.Context())))
		require.NoError(t, c.process.Err(), name)
	}
}

// forward passes connections on, until the test ends.
func forward(t *testing.T, from, to string) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", from)
	require.NoError(t, err)
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { join(ctx, in, to) })
		}
	})
}

// join copies both ways until one side ends or ctx does.
func join(ctx context.Context, in net.Conn, to string) {
	defer in.Close()
	var dialer net.Dialer
	out, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(out, in)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(in, out)
		ended <- err
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	_ = errors.Join(in.Close(), out.Close())
}
