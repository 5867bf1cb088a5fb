package observe_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tcckit/tcckit/internal/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get answers with the status code and body of GET url.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(body)
}

// serve starts an Admin and returns its readiness and its URL.
func serve(t *testing.T, tel *observe.Telemetry, profiles bool, checks map[string]observe.Check) (*observe.Readiness, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	readiness := observe.NewReadiness(checks)
	admin := observe.NewAdmin(observe.AdminConfig{Telemetry: tel, Readiness: readiness, Profiles: profiles, Logger: slog.New(slog.DiscardHandler)})
	served := make(chan error, 1)
	go func() { served <- admin.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, admin.Shutdown(context.Background()))
		require.NoError(t, <-served)
	})
	return readiness, "http://" + l.Addr().String()
}

func newTelemetry(t *testing.T) *observe.Telemetry {
	t.Helper()
	tel, err := observe.NewTelemetry(t.Context(), observe.Config{Service: "test", Version: "1"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	return tel
}

func TestAdminReadiness(t *testing.T) {
	var away atomic.Bool
	readiness, url := serve(t, newTelemetry(t), false, map[string]observe.Check{
		"database": func(context.Context) error {
			if away.Load() {
				return errors.New("is away")
			}
			return nil
		},
	})
	code, _ := get(t, url+"/readyz")
	require.Equal(t, http.StatusOK, code)

	away.Store(true)
	code, body := get(t, url+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "database: is away\n", body)
	code, _ = get(t, url+"/healthz")
	require.Equal(t, http.StatusOK, code, "a process whose database is away is not to be restarted")

	away.Store(false)
	readiness.Drain()
	code, body = get(t, url+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "draining\n", body)
}

func TestAdminServesMetricsAndProfiles(t *testing.T) {
	tel := newTelemetry(t)
	_, url := serve(t, tel, true, nil)
	counter, err := tel.MeterProvider().Meter("test").Int64Counter("tcckit.things")
	require.NoError(t, err)
	counter.Add(t.Context(), 3)

	code, body := get(t, url+"/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "tcckit_things_total 3")
	require.Contains(t, body, "go_goroutines")
	require.Contains(t, body, `service_name="test"`)

	code, body = get(t, url+"/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "goroutine profile")
}

func TestAdminServesNoProfilesUnasked(t *testing.T) {
	_, url := serve(t, newTelemetry(t), false, nil)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/profile"} {
		code, _ := get(t, url+path)
		require.Equal(t, http.StatusNotFound, code, path)
	}
}
