package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr/entry"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/cmd/dtm-server/certs"
	"github.com/tcckit/tcckit/cmd/dtm-server/hook"
	"github.com/tcckit/tcckit/cmd/dtm-server/htpasswd"
	"github.com/tcckit/tcckit/cmd/dtm-server/participants"
)

// stopTimeout bounds how long calls in flight are waited for. What is cut short is safe: decisions are in
// the store, and the next start goes on with them.
const stopTimeout = 3 * time.Second

// serve runs the server until SIGINT or SIGTERM; a second signal ends it at once.
func serve(s settings) error {
	if s.dieWithStdin {
		go dieWithStdin()
	}
	if err := os.MkdirAll(s.dataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	if err := os.Chdir(s.dataDir); err != nil { // DTM opens ./dtm.bolt
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	signals, stopSignals := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stopSignals()
	h, err := newHost(s)
	if err != nil {
		return err
	}
	defer h.end()
	if err := waitForStore(signals, s); err != nil {
		if signals.Err() != nil {
			return nil
		}
		return err
	}
	hook.Install(h)
	started := make(chan error, 1)
	go func() { started <- h.start() }()
	select {
	case err := <-started:
		if err != nil {
			return err
		}
	case <-signals.Done():
		return nil
	}
	<-signals.Done()
	stopSignals()
	h.drain()
	return nil
}

// dieWithStdin ends the process when stdin is closed: its parent holds the other end of a pipe, which the
// system closes however the parent dies.
func dieWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Fprintln(os.Stderr, "dtm-server: stdin was closed, so the parent process is gone: ending")
	os.Exit(1)
}

// host is the process's side of the patched server.
type host struct {
	settings settings
	identity *certs.Identity // nil without TLS
	password *htpasswd.File  // nil without a console listener
	store    *storeProbe
	calls    *participants.Caller

	phase     phase
	probes    listeners // they end last
	listeners listeners
	patched   atomic.Bool // the server has called back
	recovery  *recovery   // nil until it serves
	sweeping  *sweeping   // nil until it serves, and where there is nothing to sweep
}

var _ hook.Host = (*host)(nil)

// newHost reads the files that are named in the settings and starts the probe listener. The host must be ended.
func newHost(s settings) (*host, error) {
	h := &host{settings: s}
	var err error
	if h.identity, err = s.tls.open(); err != nil {
		return nil, err
	}
	if h.identity != nil {
		if err := measureTLS(prometheus.DefaultRegisterer, h.identity); err != nil {
			return nil, err
		}
	}
	if s.console.addr != "" {
		if h.password, err = s.console.open(); err != nil {
			return nil, err
		}
	}
	if h.store, err = newStoreProbe(s); err != nil {
		return nil, err
	}
	if s.probeAddr != "" {
		if err := h.probes.serveHTTP("PROBE_ADDR", s.probeAddr, probe(&h.phase, h.store), nil); err != nil {
			return nil, err
		}
	}
	h.calls = newCaller(s.tls, h.identity)
	return h, nil
}

// start runs DTM's own start, which returns when it serves.
func (h *host) start() error {
	os.Args = []string{os.Args[0]} // DTM parses them again
	if h.settings.configFile != "" {
		os.Args = append(os.Args, "-c", h.settings.configFile)
	}
	api, conf := entry.Main(&version)
	if api == nil {
		return errors.New("DTM did not start")
	}
	if !h.patched.Load() { // the unpatched build serves by itself, on all interfaces
		if h.identity != nil || h.password != nil {
			return errors.New("this is the stock build, which knows neither TLS_CERT nor CONSOLE_ADDR")
		}
		h.phase.now.Store(serving)
		addConsole(api, conf.AdminBasePath, consoleFiles())
		h.announce(hostPort("", conf.HTTPPort), hostPort("", conf.GrpcPort))
		return nil
	}
	var err error
	if h.sweeping, err = startSweeping(h.settings); err != nil {
		return err
	}
	h.recovery = startRecovery(h.settings.cronLoops, time.Duration(conf.TransCronInterval)*time.Second)
	h.phase.now.Store(serving)
	h.announce(h.settings.httpAddr(), h.settings.grpcAddr())
	h.warnIfOpen()
	return nil
}

func (h *host) announce(httpAddr, grpcAddr string) {
	s := h.settings
	more := ""
	if s.console.addr != "" {
		more += ", console " + s.console.addr
	}
	if s.probeAddr != "" {
		more += ", probes " + s.probeAddr
	}
	fmt.Fprintf(os.Stderr, "dtm-server: %s serving http %s, grpc %s%s, store %s\n", version, httpAddr, grpcAddr, more, s.dtm.Store.Driver)
}

// warnIfOpen tells when whoever reaches a port can end any transaction.
func (h *host) warnIfOpen() {
	for _, addr := range []string{h.settings.httpAddr(), h.settings.grpcAddr()} {
		if h.identity == nil && !isLoopback(addr) {
			warn("open to all", fmt.Errorf("whoever reaches %s can end any transaction; give TLS_CERT, TLS_KEY and TLS_CA", addr))
		}
	}
}

// ServeHTTP implements hook.Host. The console's routes are added before the first request can arrive: gin's
// routes must not change while it serves.
func (h *host) ServeHTTP(api *gin.Engine, _ int64) error {
	h.patched.Store(true)
	addConsole(api, h.settings.dtm.AdminBasePath, consoleFiles())
	handler, config := h.secureAPI(belowBase(h.settings.dtm.AdminBasePath, sameOrigin(api)))
	if err := h.listeners.serveHTTP("HTTP_PORT or HTTP_HOST", h.settings.httpAddr(), handler, config); err != nil {
		exit(err)
	}
	if h.password != nil {
		if err := h.serveConsole(api); err != nil {
			exit(err)
		}
	}
	return nil
}

// ListenGRPC implements hook.Host.
func (h *host) ListenGRPC(int64) (net.Listener, error) {
	listener, err := listen("GRPC_PORT or GRPC_HOST", h.settings.grpcAddr())
	if err != nil {
		exit(err)
	}
	return listener, nil
}

// GRPCServer implements hook.Host.
func (h *host) GRPCServer(server *grpc.Server) { h.listeners.setGRPC(server) }

// drain says that the process ends, serves on for SHUTDOWN_DELAY, so that who sends calls here learns of it,
// takes up nothing new, and lets calls in flight end, within stopTimeout.
func (h *host) drain() {
	h.phase.now.Store(stopping)
	<-time.After(h.settings.shutdownDelay) // a second signal ends the process at once
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { h.listeners.stop(ctx) })
	if h.recovery != nil {
		wg.Go(func() { h.recovery.end(ctx) })
	}
	if h.sweeping != nil {
		wg.Go(h.sweeping.end)
	}
	wg.Wait()
}

// end closes what newHost opened.
func (h *host) end() {
	h.calls.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // probes are not waited for
	h.probes.stop(ctx)
	h.store.close()
}

// exit ends the process with a message. DTM would print a stack trace of its own before it.
func exit(err error) {
	fmt.Fprintln(os.Stderr, "dtm-server:", err)
	os.Exit(1)
}
