package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr/entry"
	"github.com/gin-gonic/gin"
	"google.golang.org/grpc"

	"github.com/tcckit/tcckit/cmd/dtm-server/hook"
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
	if err := waitForStore(signals, s); err != nil {
		if signals.Err() != nil {
			return nil
		}
		return err
	}
	h := &host{settings: s}
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
	h.stop()
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

	mu   sync.Mutex
	http *http.Server
	grpc *grpc.Server
}

var _ hook.Host = (*host)(nil)

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
	if h.server() == nil { // the unpatched build serves by itself, on all interfaces
		addConsole(api, conf.AdminBasePath, consoleFiles())
		h.announce(hostPort("", conf.HTTPPort), hostPort("", conf.GrpcPort))
		return nil
	}
	h.announce(h.settings.httpAddr(), h.settings.grpcAddr())
	return nil
}

func (h *host) announce(httpAddr, grpcAddr string) {
	fmt.Fprintf(os.Stderr, "dtm-server: %s serving http %s, grpc %s, store %s\n", version, httpAddr, grpcAddr, h.settings.dtm.Store.Driver)
}

// ServeHTTP implements hook.Host. The console's routes are added before the first request can arrive: gin's
// routes must not change while it serves.
func (h *host) ServeHTTP(api *gin.Engine, _ int64) error {
	addConsole(api, h.settings.dtm.AdminBasePath, consoleFiles())
	listener, err := listen("HTTP", h.settings.httpAddr())
	if err != nil {
		exit(err)
	}
	// No web page that someone on this machine visits shall end transactions: DTM takes a POST of any
	// content type from anywhere.
	handler := http.NewCrossOriginProtection().Handler(api)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	h.mu.Lock()
	h.http = server
	h.mu.Unlock()
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			exit(fmt.Errorf("HTTP server: %w", err))
		}
	}()
	return nil
}

// ListenGRPC implements hook.Host.
func (h *host) ListenGRPC(int64) (net.Listener, error) {
	listener, err := listen("GRPC", h.settings.grpcAddr())
	if err != nil {
		exit(err)
	}
	return listener, nil
}

// GRPCServer implements hook.Host.
func (h *host) GRPCServer(server *grpc.Server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.grpc = server
}

func (h *host) server() *http.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.http
}

// stop lets calls in flight end, within stopTimeout.
func (h *host) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	h.mu.Lock()
	httpServer, grpcServer := h.http, h.grpc
	h.mu.Unlock()
	var wg sync.WaitGroup
	if httpServer != nil {
		wg.Go(func() { _ = httpServer.Shutdown(ctx) })
	}
	if grpcServer != nil {
		wg.Go(grpcServer.GracefulStop)
		stopAll := context.AfterFunc(ctx, grpcServer.Stop)
		defer stopAll()
	}
	wg.Wait()
}

func listen(name, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w; set %s_PORT or %s_HOST", err, name, name)
	}
	return listener, nil
}

// exit ends the process with a message. DTM would print a stack trace of its own before it.
func exit(err error) {
	fmt.Fprintln(os.Stderr, "dtm-server:", err)
	os.Exit(1)
}
