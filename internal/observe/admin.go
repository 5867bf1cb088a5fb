package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// ProcessHeader is the header of /readyz with the id of the process that answers, for whoever started it and
// must not take another one's answer for its own.
const ProcessHeader = "X-Process-Id"

// Check reports why a part of the process cannot work now, nil if it can.
type Check func(context.Context) error

// checkTimeout bounds one answer of /readyz.
const checkTimeout = 2 * time.Second

// Admin serves what operators ask: /metrics, /healthz (the process runs), /readyz (it takes work, and
// what it needs answers) and /debug/pprof. It has no authentication and belongs on a loopback or otherwise
// protected address.
type Admin struct {
	server   *http.Server
	checks   map[string]Check
	draining atomic.Bool
}

// NewAdmin returns an Admin that answers with the metrics of t and whose readiness is that of all checks.
func NewAdmin(t *Telemetry, log *slog.Logger, checks map[string]Check) *Admin {
	a := &Admin{checks: checks}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.MetricsHandler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	a.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return a
}

// Serve answers on l until Shutdown, which it reports as nil. It is called once.
func (a *Admin) Serve(l net.Listener) error {
	if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("observe: admin listener: %w", err)
	}
	return nil
}

// Drain makes /readyz answer that no more work is taken, so that balancers look elsewhere.
func (a *Admin) Drain() { a.draining.Store(true) }

// Shutdown ends Serve. It waits for requests under way until ctx ends, and then cuts them off.
func (a *Admin) Shutdown(ctx context.Context) error {
	if a.server.Shutdown(ctx) == nil {
		return nil
	}
	if err := a.server.Close(); err != nil {
		return fmt.Errorf("observe: admin listener: %w", err)
	}
	return nil
}

func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(ProcessHeader, strconv.Itoa(os.Getpid()))
	if a.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	for name, check := range a.checks {
		if err := check(ctx); err != nil {
			http.Error(w, name+": "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}
