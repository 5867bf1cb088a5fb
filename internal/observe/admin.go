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
	"time"
)

// ProcessHeader is the header of /readyz with the id of the process that answers, for whoever started it and
// must not take another one's answer for its own.
const ProcessHeader = "X-Process-Id"

// Admin serves what operators ask: /metrics, /healthz (the process runs), /readyz (it takes work, and
// what it needs answers) and, if asked for, /debug/pprof. It has no authentication and belongs on a loopback or
// otherwise protected address.
type Admin struct {
	server    *http.Server
	readiness *Readiness
}

// AdminConfig configures [NewAdmin]. All of it is required but Profiles.
type AdminConfig struct {
	// Telemetry has the metrics, Readiness the answer of /readyz.
	Telemetry *Telemetry
	Readiness *Readiness
	// Profiles serves /debug/pprof, which tells the process's command line, and lets whoever reaches it slow the
	// process down.
	Profiles bool
	// Logger is told of failures of the HTTP server.
	Logger *slog.Logger
}

// NewAdmin returns an Admin, to be served.
func NewAdmin(cfg AdminConfig) *Admin {
	a := &Admin{readiness: cfg.Readiness}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", cfg.Telemetry.MetricsHandler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	if cfg.Profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	a.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
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
	if err := a.readiness.Ready(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
