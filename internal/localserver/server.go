package localserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tcckit/tcckit/internal/childproc"
	"github.com/tcckit/tcckit/internal/freeport"
)

// Config says which server to start and how. For RocketMQ there is RocketMQConfig.
type Config struct {
	Kind Kind
	// Programs is the folder that deploy/local/get-servers.sh filled; empty: FindPrograms.
	Programs string
	// Dir keeps the server's data: an absolute path of an empty folder. Stop leaves what is in it.
	Dir string
	// Args are further options for the server's command line.
	Args []string
}

const (
	// startTimeout bounds how long a server may take until it answers. One second is usual.
	startTimeout = 90 * time.Second
	// attemptTimeout bounds one attempt at getting an answer.
	attemptTimeout = 5 * time.Second
	// stopTimeout bounds an orderly stop, after which the server is killed.
	stopTimeout = 30 * time.Second
	// portTries bounds how often a server whose port was taken meanwhile is given another.
	portTries = 3
)

// Server is one server. Its methods must not be called concurrently, but for Addr, SQL and Log. The
// server cannot outlive this process.
type Server struct {
	cfg     Config
	port    int
	process *childproc.Process // the last that was started
	running bool               // as far as this side knows: started, and neither stopped nor killed
}

// Start starts a server on a free port and returns when it answers.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Kind == KindRocketMQ {
		return nil, errors.New("localserver: rocketmq is two servers: use StartRocketMQ")
	}
	var err error
	if cfg.Programs, err = findLauncher(cfg.Programs, cfg.Kind); err != nil {
		return nil, err
	}
	if cfg.Dir, err = filepath.EvalSymlinks(cfg.Dir); err != nil { // as the server will name it
		return nil, fmt.Errorf("localserver: %s: %w", cfg.Kind, err)
	}
	s := &Server{cfg: cfg}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("localserver: %s: %w", cfg.Kind, err)
	}
	for try := 1; ; try++ {
		if s.port, err = freeport.Loopback(); err != nil {
			return nil, fmt.Errorf("localserver: %s: %w", cfg.Kind, err)
		}
		if err = s.Restart(ctx); err == nil {
			return s, nil
		}
		if try == portTries || !inUse(s.Log()) {
			return nil, err
		}
	}
}

// Restart starts the server again on its port and its data, after Kill or Stop, and returns when it
// answers.
func (s *Server) Restart(ctx context.Context) error {
	if s.running {
		return fmt.Errorf("localserver: %s on port %d runs already", s.cfg.Kind, s.port)
	}
	p, err := childproc.Start(childproc.Config{
		Path: filepath.Join(s.cfg.Programs, s.cfg.Kind.launcher()), Args: s.args(), StopTimeout: stopTimeout,
	})
	if err != nil {
		return fmt.Errorf("localserver: %s: %w", s.cfg.Kind, err)
	}
	s.process, s.running = p, true
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := awaitAnswer(ctx, p, s.checkAnswer); err != nil {
		return errors.Join(fmt.Errorf("localserver: %s did not start: %w; its log ends\n%s", s.cfg.Kind, err, s.Log()), s.Kill())
	}
	return nil
}

// Kill ends the server at once, as SIGKILL does, and returns when it is gone. Its data stays.
func (s *Server) Kill() error {
	s.running = false
	return s.process.Kill()
}

// Stop ends the server in an orderly way, or by force if it takes too long, and returns when it is gone.
func (s *Server) Stop() error {
	s.running = false
	return s.process.Stop(context.Background())
}

// Addr is the server's address, host:port. It stays the same across restarts.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Log returns the last lines of what the server logged since it was last started.
func (s *Server) Log() string { return s.process.Tail() }

func (s *Server) dataPath() string { return filepath.Join(s.cfg.Dir, "data") }

// prepare fills the data folder before the first start.
func (s *Server) prepare() error {
	if s.cfg.Kind.isSQL() {
		return s.prepareSQL()
	}
	return os.Mkdir(s.dataPath(), 0o700)
}

func (s *Server) args() []string {
	args := s.redisArgs
	if s.cfg.Kind.isSQL() {
		args = s.sqlArgs
	}
	return append(args(), s.cfg.Args...)
}

// inUse recognises in a log that the port was taken meanwhile.
func inUse(log string) bool { return strings.Contains(strings.ToLower(log), "address already in use") }

// awaitAnswer returns when the server answers, or an error when it ended or ctx did.
func awaitAnswer(ctx context.Context, process *childproc.Process, check func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // what ctx cut short says nothing
			last = err
		}
		select {
		case <-process.Done():
			return errors.New("the process ended")
		case <-ctx.Done():
			return fmt.Errorf("%w; the last attempt: %w", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// checkAnswer returns nil when the server on the port answers and is this one, not one of another
// process that was quicker to take the port.
func (s *Server) checkAnswer(ctx context.Context) error {
	data := s.redisData
	if s.cfg.Kind.isSQL() {
		data = s.sqlData
	}
	dir, err := data(ctx)
	if err == nil && filepath.Clean(dir) != s.dataPath() {
		err = fmt.Errorf("port %d belongs to a server with its data in %s", s.port, dir)
	}
	return err
}
