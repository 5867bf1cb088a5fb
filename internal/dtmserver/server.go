package dtmserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/tcckit/tcckit/internal/childproc"
)

// portTries bounds how often a server whose port was taken meanwhile is given others.
const portTries = 5

// Server is a DTM server that runs as a child process. Its methods may be called concurrently; those that
// start and stop it take turns. Whoever started it must see to it that it ends, by Stop or Kill.
type Server struct {
	cfg        Config
	http, grpc endpoint

	mu      sync.Mutex
	process *childproc.Process
}

// Start starts a server and returns when both its ports answer. Its error contains the last lines of the
// server's log, and then no process is left.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		s := &Server{cfg: cfg}
		if s.http, err = newEndpoint(cfg.HTTPAddr); err != nil {
			return nil, err
		}
		if s.grpc, err = newEndpoint(cfg.GRPCAddr); err != nil {
			return nil, err
		}
		err := s.start(ctx)
		if err == nil {
			return s, nil
		}
		picked := cfg.HTTPAddr == "" || cfg.GRPCAddr == ""
		if !errors.Is(err, errPortTaken) || !picked || try == portTries {
			return nil, err
		}
	}
}

// errPortTaken says that the server could not listen where it was told to.
var errPortTaken = errors.New("a port is taken")

// start starts the process and waits until it answers.
func (s *Server) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	log, err := os.OpenFile(filepath.Join(s.cfg.Dir, "dtm-server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("dtmserver: log: %w", err)
	}
	process, err := childproc.Start(childproc.Config{
		Path: s.cfg.Binary, Dir: s.cfg.Dir, Env: s.cfg.environment(s.http, s.grpc), Output: log,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("dtmserver: %w", err), log.Close())
	}
	go func() { // ends with the process
		<-process.Done()
		_ = log.Close()
	}()
	if err := s.awaitReady(ctx, process); err != nil {
		_ = process.Kill()
		return fmt.Errorf("dtmserver: starting %s (http %s, grpc %s): %w\nlast lines of its log:\n%s",
			s.cfg.Binary, s.HTTPURL(), s.GRPCAddr(), err, process.Tail())
	}
	s.process = process
	return nil
}

// GRPCAddr is the address of the server's gRPC API, host:port, the same over a Restart.
func (s *Server) GRPCAddr() string { return s.grpc.dial() }

// HTTPURL is the address of its HTTP API and console, such as http://127.0.0.1:36789, without a slash.
func (s *Server) HTTPURL() string {
	if s.cfg.TLS != nil {
		return "https://" + s.http.dial()
	}
	return "http://" + s.http.dial()
}

// PID is the process id of the server, or of the last one when it is stopped.
func (s *Server) PID() int { return s.current().PID() }

// Done is closed when the server that runs now has ended, by itself or not.
func (s *Server) Done() <-chan struct{} { return s.current().Done() }

// Err tells how the server ended, with the last lines of its log; nil as long as it runs.
func (s *Server) Err() error { return s.current().Err() }

// Log returns the last lines of the server's log. The whole is in dtm-server.log in Config.Dir.
func (s *Server) Log() string { return s.current().Tail() }

func (s *Server) current() *childproc.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Stop ends the server in an orderly way and returns when it is gone. If ctx ends before, the server is
// killed, which the error says. Stopping a server that has ended does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.Stop(ctx)
}

// Kill ends the server by SIGKILL and returns when it is gone.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.Kill()
}

// Restart stops the server if it runs, and starts it again with the same ports and data. It returns when
// the server answers. After an error no server runs; Restart may be tried again.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.Stop(ctx); err != nil {
		return err
	}
	return s.start(ctx)
}

// portTaken tells from the log that the server could not listen. The stock build only logs that about its
// HTTP port and runs on.
func portTaken(process *childproc.Process) bool {
	return strings.Contains(process.Tail(), syscall.EADDRINUSE.Error())
}
