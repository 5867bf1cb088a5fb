package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tcckit/tcckit/internal/childproc"
	"github.com/tcckit/tcckit/internal/observe"
)

const (
	readyPause   = 10 * time.Millisecond
	readyTimeout = 3 * time.Second
)

// Service is a service that runs as a child process. Its methods may be called concurrently; those that
// start and stop it take turns.
type Service struct {
	// Name is the service's, Database its database as `tcckit serve` takes it.
	Name, Database string
	Addresses

	followers map[string]string // their databases, by name
	program   string
	dir       string
	args      []string
	timeout   time.Duration

	mu      sync.Mutex
	process *childproc.Process // nil before the first start
}

// Start starts the service, unless it runs, and returns when it takes work. Its error contains the last
// lines of its log, and then no process is left.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil && !ended(s.process) {
		return nil
	}
	log, err := os.OpenFile(filepath.Join(s.dir, s.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("stack: %s: log: %w", s.Name, err)
	}
	process, err := childproc.Start(childproc.Config{
		Path: s.program, Args: s.args, Dir: s.dir, Output: log,
		Env: s.environment(),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("stack: %s: %w", s.Name, err), log.Close())
	}
	go func() { // ends with the process
		<-process.Done()
		_ = log.Close()
	}()
	if err := s.awaitReady(ctx, process); err != nil {
		_ = process.Kill()
		return fmt.Errorf("stack: %s did not start: %w\nlast lines of its log:\n%s", s.Name, err, process.Tail())
	}
	s.process = process
	return nil
}

// Stop ends the service in an orderly way and returns when it is gone.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	return s.process.Stop(ctx)
}

// Kill ends the service by SIGKILL and returns when it is gone.
func (s *Service) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	return s.process.Kill()
}

// PID is the process id of the service, or of the last one when it is stopped; 0 before the first start.
func (s *Service) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return 0
	}
	return s.process.PID()
}

// current is the process that runs now, or the last one.
func (s *Service) current() *childproc.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Followers are the names of the services that run in the process beside it, in order.
func (s *Service) Followers() []string { return slices.Sorted(maps.Keys(s.followers)) }

// Databases are the databases of the service and of its followers, by name.
func (s *Service) Databases() map[string]string {
	dsns := map[string]string{s.Name: s.Database}
	maps.Copy(dsns, s.followers)
	return dsns
}

// DatabaseEnvironment is the environment for a program that works on a database and reads its DSN from the
// variable named.
func DatabaseEnvironment(variable, dsn string) []string {
	return append(environment(), variable+"="+dsn)
}

// environment is the service's. A command line would show the DSNs' passwords to everybody.
func (s *Service) environment() []string {
	env := environment()
	for name, dsn := range s.Databases() {
		env = append(env, "TCCKIT_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_DB="+dsn)
	}
	return env
}

// environment is this process's without the flags in it, which were meant for this process; where logs and
// traces go concerns all.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "TCCKIT_LOG_LEVEL", "TCCKIT_OTLP_ENDPOINT":
		default:
			if strings.HasPrefix(name, "TCCKIT_") {
				continue
			}
		}
		env = append(env, entry)
	}
	return env
}

// awaitReady waits until the service says that it takes work, it ends, or ctx does.
func (s *Service) awaitReady(ctx context.Context, process *childproc.Process) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for {
		err := ask(ctx, "http://"+s.Admin+"/readyz", process.PID())
		if ended(process) {
			return errors.New("it ended")
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-process.Done():
		case <-time.After(readyPause):
		}
	}
}

// ask returns nil if the process of that id answers that it is ready. Another one may have the port.
func ask(ctx context.Context, url string, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
	_ = resp.Body.Close()
	if id := resp.Header.Get(observe.ProcessHeader); id != strconv.Itoa(pid) {
		return fmt.Errorf("%s is not served by process %d but by %q", url, pid, id)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

func ended(process *childproc.Process) bool {
	select {
	case <-process.Done():
		return true
	default:
		return false
	}
}
