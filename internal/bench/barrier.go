package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/internal/mysqldsn"
)

// BarrierConfig says how long to measure the barrier, and on what.
type BarrierConfig struct {
	// MySQL is the DSN of a server, for a user that may create databases; the
	// one that is made is dropped at the end.
	MySQL string
	// Duration is that of one round, Rounds their number for each figure.
	Duration time.Duration
	Rounds   int
	// Rows is how many barrier rows bytes_per_branch is measured with.
	Rows int
	// Out is where progress and the report are printed.
	Out io.Writer
}

func (c *BarrierConfig) validate() error {
	if c.MySQL == "" {
		return errors.New("bench: a MySQL server is needed")
	}
	if c.Duration <= 0 || c.Rounds < 1 || c.Rows < 1 {
		return errors.New("bench: duration, rounds and rows must be more than 0")
	}
	return nil
}

// Barrier measures what the barrier costs beside transactions written by hand
// with database/sql, on the same server in the same run, and returns the
// figures by their names:
//
//   - spread_N, hot_N: branches a second of N callers over those of a plain
//     transaction a branch, whole lifecycles, on 1,000 rows and on one;
//   - deadlocks_per_1000: of 1,000 batches, with two workers on 2, 10 and 100
//     rows, the worst of the three;
//   - single_overhead, closure_overhead: the median of one caller's queued
//     branch, and of one that uses Exec, over the same business statement in
//     a transaction without a barrier;
//   - bytes_per_branch: of a terminal row; allocs_per_branch: of a queued
//     branch of a lone caller.
func Barrier(ctx context.Context, cfg BarrierConfig) (figures map[string]float64, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := describeMySQL(ctx, cfg.MySQL, cfg.Out); err != nil {
		return nil, err
	}
	ground, drop, err := newGround(ctx, cfg.MySQL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	m := &measurement{cfg: cfg, ground: ground, figures: make(map[string]float64)}
	for _, step := range []func(context.Context) error{m.throughput, m.deadlocks, m.latency, m.allocations, m.size} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return m.figures, nil
}

// newGround makes a database with the barrier's table and accounts.
func newGround(ctx context.Context, dsn string) (cfg *mysqldriver.Config, drop func() error, err error) {
	cfg, err = mysqldsn.Parse(dsn)
	if err != nil {
		return nil, nil, fmt.Errorf("bench: MySQL: %w", err)
	}
	cfg.DBName = ""
	connector, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("bench: MySQL: %w", err)
	}
	admin := sql.OpenDB(connector)
	cfg = cfg.Clone()
	cfg.DBName = "tcckit_bench_" + strings.ToLower(rand.Text()[:8])
	drop = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_, err := admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+cfg.DBName)
		return errors.Join(err, admin.Close())
	}
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+cfg.DBName); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("bench: MySQL: %w", err), admin.Close())
	}
	if err := layOut(ctx, cfg); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("bench: MySQL: %w", err), drop())
	}
	return cfg, drop, nil
}

// spread is how many accounts there are.
const spread = 1000

func layOut(ctx context.Context, cfg *mysqldriver.Config) (err error) {
	db, err := openPlain(cfg, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	account := "INSERT INTO account (id, available) VALUES ('a0', 1000000000000)"
	for i := 1; i < spread; i++ {
		account += fmt.Sprintf(", ('a%d', 1000000000000)", i)
	}
	for _, query := range []string{
		mysql.Schema,
		"CREATE TABLE account (id VARCHAR(64) PRIMARY KEY, available BIGINT NOT NULL, frozen BIGINT NOT NULL DEFAULT 0, spent BIGINT NOT NULL DEFAULT 0)",
		account,
	} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// openPlain opens a pool as most programs do.
func openPlain(cfg *mysqldriver.Config, conns int) (*sql.DB, error) {
	connector, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// measurement is one run of Barrier.
type measurement struct {
	cfg     BarrierConfig
	ground  *mysqldriver.Config
	figures map[string]float64
}

// throughput measures spread_N and hot_N.
func (m *measurement) throughput(ctx context.Context) error {
	for _, callers := range []int{32, 128} {
		for name, rows := range map[string]int{"spread": spread, "hot": 1} {
			plain, grouped, err := m.compare(ctx, callers, lifecycle(rows), lifecycle(rows))
			if err != nil {
				return err
			}
			ratio := grouped.PerSecond() / plain.PerSecond()
			m.figures[fmt.Sprintf("%s_%d", name, callers)] = rounded(ratio, 2)
			// A lifecycle is two deliveries.
			fmt.Fprintf(m.cfg.Out, "%-6s %3d callers  plain %6.0f/s  p99 %9s   grouped %6.0f/s  p99 %9s   ratio %.2f\n", name, callers,
				2*plain.PerSecond(), milliseconds(plain.Quantile(99)), 2*grouped.PerSecond(), milliseconds(grouped.Quantile(99)), ratio)
		}
	}
	return nil
}

// compare has callers do the same with both forms in turns.
func (m *measurement) compare(ctx context.Context, callers int, plainly, grouped func(form) Operation) (a, b Round, err error) {
	p, err := newPlainForm(m.ground, callers)
	if err != nil {
		return a, b, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	g, err := newStoreForm(ctx, m.ground, mysql.Options{})
	if err != nil {
		return a, b, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	err = m.inTurns(ctx, callers, []Operation{plainly(p), grouped(g)}, []*Round{&a, &b})
	return a, b, err
}

func (m *measurement) inTurns(ctx context.Context, callers int, ops []Operation, sums []*Round) error {
	return inTurns(ctx, callers, m.cfg.Rounds, m.cfg.Duration, ops, sums)
}

// inTurns runs each operation for a round, so many times, after a short one that
// is not counted.
func inTurns(ctx context.Context, callers, rounds int, duration time.Duration, ops []Operation, sums []*Round) error {
	for n := range rounds + 1 {
		for i, op := range ops {
			took := duration
			if n == 0 {
				took = min(duration, warmUp)
			}
			r, err := Run(ctx, callers, took, op)
			if err != nil {
				return fmt.Errorf("bench: %w", err)
			}
			if n > 0 {
				sums[i].Add(r)
			}
		}
	}
	return nil
}

// deadlocks measures deadlocks_per_1000.
func (m *measurement) deadlocks(ctx context.Context) error {
	worst := 0.0
	for _, rows := range []int{2, 10, 100} {
		deadlocks, batches, err := m.countDeadlocks(ctx, rows)
		if err != nil {
			return err
		}
		if batches == 0 {
			return errors.New("bench: no batch was counted")
		}
		per := 1000 * deadlocks / batches
		worst = math.Max(worst, per)
		fmt.Fprintf(m.cfg.Out, "%3d rows, 64 callers, 2 workers: %.0f deadlocks in %.0f batches\n", rows, deadlocks, batches)
	}
	m.figures["deadlocks_per_1000"] = rounded(worst, 2)
	return nil
}

func (m *measurement) countDeadlocks(ctx context.Context, rows int) (deadlocks, batches float64, err error) {
	meters := newMeters()
	g, err := newStoreForm(ctx, m.ground, mysql.Options{Workers: 2, MeterProvider: meters.provider})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if _, err := Run(ctx, 64, m.cfg.Duration, lifecycle(rows)(g)); err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	return meters.read(ctx)
}

// latency measures single_overhead and closure_overhead.
func (m *measurement) latency(ctx context.Context) (err error) {
	p, err := newPlainForm(m.ground, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	s, err := newStoreForm(ctx, m.ground, mysql.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var bare, queued, closure Round
	ops := []Operation{one(p.bare), one(s.queued), one(s.closure)}
	if err := m.inTurns(ctx, 1, ops, []*Round{&bare, &queued, &closure}); err != nil {
		return err
	}
	base := float64(bare.Quantile(50))
	m.figures["single_overhead"] = rounded(float64(queued.Quantile(50))/base, 3)
	m.figures["closure_overhead"] = rounded(float64(closure.Quantile(50))/base, 3)
	fmt.Fprintf(m.cfg.Out, "one caller, p50: bare transaction %s, queued branch %s, branch with Exec %s\n",
		milliseconds(bare.Quantile(50)), milliseconds(queued.Quantile(50)), milliseconds(closure.Quantile(50)))
	return nil
}

// one runs f on the accounts in turn.
func one(f func(ctx context.Context, account string) error) Operation {
	n := 0
	return func(ctx context.Context, _ int) error {
		n++
		return f(ctx, rowID(n%spread))
	}
}

// allocations measures allocs_per_branch.
func (m *measurement) allocations(ctx context.Context) (err error) {
	s, err := newStoreForm(ctx, m.ground, mysql.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	op := one(s.queued)
	const n = 1000
	var before, after runtime.MemStats
	for range n / 10 {
		if err := op(ctx, 0); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	runtime.ReadMemStats(&before)
	for range n {
		if err := op(ctx, 0); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	runtime.ReadMemStats(&after)
	m.figures["allocs_per_branch"] = rounded(float64(after.Mallocs-before.Mallocs)/n, 1)
	fmt.Fprintf(m.cfg.Out, "a queued branch: %.1f allocations, %d bytes\n", m.figures["allocs_per_branch"], (after.TotalAlloc-before.TotalAlloc)/n)
	return nil
}
