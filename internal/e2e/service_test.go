package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/childproc"
	"github.com/tcckit/tcckit/internal/freeport"
)

// The services of the shop.
const (
	account = "account"
	stock   = "stock"
	order   = "order"
)

func services() []string { return []string{account, stock, order} }

// service is `tcckit serve` of one service as a child process. Its addresses stay over a restart.
type service struct {
	name                    string
	also                    []string // further services of the same process
	public, internal, admin string
	args, env               []string
	logFile                 string
	process                 *childproc.Process // nil before the first start
}

// newService chooses addresses; label tells it from others of the same name.
func newService(t testing.TB, name, label, dir string) *service {
	t.Helper()
	return &service{
		name: name, logFile: filepath.Join(dir, label+".log"),
		public: loopback(t), internal: loopback(t), admin: loopback(t),
	}
}

func loopback(t testing.TB) string {
	t.Helper()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// start starts the service and returns when it takes work.
func (s *service) start(t testing.TB) {
	t.Helper()
	s.launch(t)
	eventually(t, s.name+" takes work", func(ctx context.Context) error {
		select {
		case <-s.process.Done():
			t.Fatalf("%s ended at its start: %v", s.name, s.process.Err())
		default:
		}
		return get(ctx, "http://"+s.admin+"/readyz", nil)
	})
}

func (s *service) launch(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(s.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	s.process, err = childproc.Start(childproc.Config{
		Path: tcckit, Output: log, StopTimeout: bound, // longer than it drains
		Args: slices.Concat([]string{"serve", s.name}, s.also, []string{
			"--migrate", "--log-format=json",
			"--listen=" + s.public, "--listen-internal=" + s.internal, "--admin=" + s.admin,
		}, s.args),
		Env: append([]string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TCCKIT_STOP_WITH_STDIN=true",
			"GORACE=atexit_sleep_ms=0", // a second otherwise
		}, s.env...),
	})
	require.NoError(t, err)
	done := s.process.Done()
	go func() { // ends with the process
		<-done
		_ = log.Close()
	}()
}

// kill ends the service by SIGKILL and returns when it is gone.
func (s *service) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, s.process.Kill())
	require.ErrorContains(t, s.process.Err(), "killed")
}

// stop ends the service in an orderly way.
func (s *service) stop(ctx context.Context) error {
	if err := s.process.Stop(ctx); err != nil {
		return err
	}
	return s.process.Err()
}

// get reads an answer by HTTP and gives its body to read, unless that is nil.
func get(ctx context.Context, url string, read func(io.Reader) error) error {
	return getBy(ctx, &http.Transport{DisableKeepAlives: true}, url, read) // no proxy
}

func getBy(ctx context.Context, by http.RoundTripper, url string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := by.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("%s: %s: %s", url, resp.Status, text)
	}
	if read == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return read(resp.Body)
}
