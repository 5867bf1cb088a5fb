package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// listeners are the servers of this process. Its methods may be called concurrently.
type listeners struct {
	mu   sync.Mutex
	http []*http.Server
	grpc *grpc.Server
}

// serveHTTP serves handler at addr, by TLS if config is not nil, until stop. setting names the variables that say
// where it listens.
func (l *listeners) serveHTTP(setting, addr string, handler http.Handler, config *tls.Config) error {
	listener, err := listen(setting, addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, TLSConfig: config, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(os.Stderr, nil), slog.LevelWarn),
	}
	l.mu.Lock()
	l.http = append(l.http, server)
	l.mu.Unlock()
	serve := func() error { return server.Serve(listener) }
	if config != nil {
		serve = func() error { return server.ServeTLS(listener, "", "") }
	}
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			exit(fmt.Errorf("%s: %w", setting, err))
		}
	}()
	return nil
}

func (l *listeners) setGRPC(server *grpc.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.grpc = server
}

// stop refuses new calls, waits for those that run until ctx ends, and cuts off the rest.
func (l *listeners) stop(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wg sync.WaitGroup
	for _, server := range l.http {
		wg.Go(func() { _ = server.Shutdown(ctx) })
	}
	if l.grpc != nil {
		wg.Go(l.grpc.GracefulStop)
		stopAll := context.AfterFunc(ctx, l.grpc.Stop)
		defer stopAll()
	}
	wg.Wait()
}

func listen(setting, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w; set %s", err, setting)
	}
	return listener, nil
}
