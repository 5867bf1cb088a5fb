package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tcckit/tcckit/internal/childproc"
	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/stack"
)

// The time that a run takes besides its rounds.
const (
	warmUp      = time.Second
	stopTimeout = 40 * time.Second
)

// Config says what to measure, and on what.
type Config struct {
	// MySQL is the DSN of a server, for a user that may create databases; they are dropped at the end.
	MySQL string
	// Redis is host:port. DTM's keys are deleted at the end.
	Redis string
	// Program is the tcckit binary. Empty: the one that runs.
	Program string
	// Clients are the numbers of clients to measure with.
	Clients []int
	// Duration is that of one round, Rounds their number for each kind and number of clients.
	Duration time.Duration
	Rounds   int
	// Rows is the number of accounts, and that of items.
	Rows int
	// Out is where progress and the report are printed.
	Out io.Writer
}

func (c *Config) validate() error {
	var errs []error
	if c.MySQL == "" || c.Redis == "" {
		errs = append(errs, errors.New("a MySQL and a Redis server are needed"))
	}
	if c.Duration <= 0 || c.Rounds < 1 || c.Rows < 1 || len(c.Clients) == 0 {
		errs = append(errs, errors.New("duration, rounds, rows and clients must be more than 0"))
	}
	for _, n := range c.Clients {
		if n < 1 {
			errs = append(errs, fmt.Errorf("%d clients: want at least one", n))
		}
	}
	return errors.Join(errs...)
}

// Order measures orders a second and their latencies. In each round it takes turns between participants that
// answer at once, the real ones, and PlaceOrder, so that what disturbs the machine disturbs all alike. It
// fails if any order fails, or if the books do not add up after a round.
func Order(ctx context.Context, cfg Config) (report *Report, err error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if cfg.Program == "" {
		if cfg.Program, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "tcckit-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := describeMySQL(ctx, cfg.MySQL, cfg.Out); err != nil {
		return nil, err
	}
	answering, stop, err := startAnswering(ctx, cfg, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	report = newReport(cfg)
	id := strings.ToLower(rand.Text()[:8])
	prefix := "{tcckit-bench-" + id + "}"
	defer func() { err = errors.Join(err, deleteKeys(context.WithoutCancel(ctx), cfg.Redis, prefix)) }()
	for _, run := range []struct {
		store Store
		of    func(*stack.MySQL) dtmserver.Store
		kinds []Kind
	}{
		{OnRedis, func(*stack.MySQL) dtmserver.Store { return dtmserver.Redis(cfg.Redis, prefix) }, []Kind{Limit, Branches, PlaceOrder}},
		{OnMySQL, func(m *stack.MySQL) dtmserver.Store { return dtmserver.MySQL(m.Config(dtmDatabase)) }, []Kind{Limit, Branches}},
	} {
		server, err := stack.NewMySQL(cfg.MySQL, "")
		if err != nil {
			return nil, err
		}
		server.SetPrefix("tcckit_bench_" + id + "_" + string(run.store))
		own := filepath.Join(dir, string(run.store))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		if err := measure(ctx, cfg, report, run.store, run.kinds, answering, server, stack.Config{
			Program: cfg.Program, Dir: own, Databases: server.Databases(), DTMStore: run.of(server),
		}); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// dtmDatabase is what DTM's database is called, after the prefix.
const dtmDatabase = "dtm"

// measure runs all rounds on one DTM server.
func measure(ctx context.Context, cfg Config, report *Report, store Store, kinds []Kind, answering [2]string, server *stack.MySQL, services stack.Config) (err error) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, server.Drop(ctx, dtmDatabase))
	}()
	s, err := stack.New(ctx, services)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, s.Stop(ctx))
	}()
	keys, err := s.Keyring()
	if err != nil {
		return err
	}
	y, err := connect(s, keys, answering, cfg.Rows)
	if err != nil {
		return err
	}
	defer y.close()
	if err := y.prepare(ctx); err != nil {
		return err
	}
	for _, kind := range kinds {
		if _, err := y.round(ctx, kind, cfg.Clients[len(cfg.Clients)-1], min(warmUp, cfg.Duration)); err != nil {
			return err
		}
	}
	for n := range cfg.Rounds {
		for _, clients := range cfg.Clients {
			for _, kind := range kinds {
				r, err := y.round(ctx, kind, clients, cfg.Duration)
				if err != nil {
					return err
				}
				report.add(Key{store, kind, clients}, r)
				fmt.Fprintf(cfg.Out, "DTM on %-5s  round %d of %d  %2d clients  %-18s %7.0f/s\n", store, n+1, cfg.Rounds, clients, kind, r.PerSecond())
			}
		}
	}
	return nil
}

// startAnswering starts two processes that answer at once, as there are two real ones.
func startAnswering(ctx context.Context, cfg Config, dir string) (addrs [2]string, stop func() error, err error) {
	var processes []*childproc.Process
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		var errs []error
		for _, p := range processes {
			errs = append(errs, p.Stop(ctx))
		}
		return errors.Join(errs...)
	}
	for i := range addrs {
		port, err := freeport.Loopback()
		if err != nil {
			return addrs, nil, errors.Join(fmt.Errorf("bench: %w", err), stop())
		}
		addrs[i] = fmt.Sprintf("127.0.0.1:%d", port)
		p, err := childproc.Start(childproc.Config{Path: cfg.Program, Args: []string{"bench", "answer", "--listen=" + addrs[i]}, Dir: dir})
		if err != nil {
			return addrs, nil, errors.Join(fmt.Errorf("bench: %w", err), stop())
		}
		processes = append(processes, p)
	}
	return addrs, stop, nil
}
