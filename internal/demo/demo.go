package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/gate"
	"github.com/tcckit/tcckit/internal/stack"
)

// ErrStep says that a step did not hold. What went wrong has been printed.
var ErrStep = errors.New("the demo failed")

// stopTimeout bounds the end of all processes.
const stopTimeout = 30 * time.Second

// demo is one run.
type demo struct {
	print       *printer
	program     string
	dir         string
	stack       *stack.Stack
	gate        *gate.Gate // between DTM and the account service
	shop        *shop
	coordinator *coordinator.Client // for queries only
}

// Run runs the demo. It returns nil if every step held, ErrStep if one did not, and another error if it
// could not begin. Nothing that it started is left when it returns.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &demo{print: newPrinter(cfg.Out), program: cfg.Program}
	if d.program == "" {
		if d.program, err = os.Executable(); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if err := d.makeDir(cfg.Dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.removeDir(cfg.Dir, err)) }()
	dropDatabases, err := d.makeStack(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dropDatabases()) }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, d.stack.Stop(ctx))
	}()
	account := d.stack.Service(stack.Account)
	if d.gate, err = gate.New(ctx, "127.0.0.1:0", account.Internal); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, d.gate.Close()) }()
	d.stack.Interpose(stack.Account, d.gate.Addr())

	d.print.title("tcckit demo")
	d.print.note("starting the services and DTM ...")
	if err := d.stack.Start(ctx); err != nil {
		return err
	}
	if err := d.connect(cfg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.shop.close()) }()
	d.introduce(cfg)
	if err := d.steps(ctx); err != nil {
		return err
	}
	if len(cfg.RocketMQ) == 0 {
		d.print.line("Messages stayed within their processes. With RocketMQ: `tcckit demo --rocketmq HOST:PORT` where one")
		d.print.line("runs, or `make up ROCKETMQ=1`, which fetches one, and starts the shop on it.")
	}
	if d.print.terminal {
		d.further()
		d.print.title("Everything keeps running. Ctrl-C ends it.")
		<-ctx.Done()
	}
	return nil
}

// steps does one step after the other, also after one that did not hold.
func (d *demo) steps(ctx context.Context) error {
	failures := 0
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"An order is confirmed", d.confirm},
		{"An order is rejected: not enough in stock", d.rejectForStock},
		{"An order is rejected: not enough in the account", d.rejectForBalance},
		{"The same request twice is one order", d.repeat},
		{"Many orders at once", d.load},
		{"A service dies between Try and Confirm", d.kill},
		{"A confirmed order leaves the cart, and is dispatched", d.follow},
		{"A service dies before its messages are out", d.killFollowers},
		{"Money goes from bank to bank, and comes back", d.transfer},
		{"Orders by message alone", d.expressOrders},
		{"The sum of it all", d.invariants},
	} {
		d.print.step(step.title)
		if err := step.do(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("interrupted: %w", context.Cause(ctx))
			}
			d.print.failed(err)
			failures++
		}
	}
	if failures > 0 {
		d.print.title(d.print.paint(red, fmt.Sprintf("%d of %d steps did not hold.", failures, d.print.steps)))
		return ErrStep
	}
	d.print.title(d.print.paint(green, fmt.Sprintf("All %d steps held.", d.print.steps)))
	return nil
}

// makeDir makes the folder: the one given, or a temporary one.
func (d *demo) makeDir(given string) (err error) {
	if given != "" {
		d.dir = given
		err = os.MkdirAll(given, 0o700)
	} else {
		d.dir, err = os.MkdirTemp("", "tcckit-demo-")
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// removeDir removes a temporary folder, unless the logs in it may tell why a step did not hold.
func (d *demo) removeDir(given string, outcome error) error {
	switch {
	case given != "":
		return nil
	case errors.Is(outcome, ErrStep):
		d.print.line("The logs are kept in %s.", d.dir)
		return nil
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// makeStack prepares the processes and returns what drops their databases, if they are on a given server.
func (d *demo) makeStack(ctx context.Context, cfg Config) (drop func() error, err error) {
	drop = func() error { return nil }
	services := stack.Config{
		Program: d.program, Dir: d.dir, DTM: cfg.DTM,
		// DTM looks every second, and two seconds after a failure, so that nobody has to wait for long.
		DTMEnv: []string{"TRANS_CRON_INTERVAL=1"}, RetryInterval: time.Second,
		Follow: true, RocketMQ: cfg.RocketMQ, RocketMQPrefix: "tcckit-demo-" + strings.ToLower(rand.Text()[:6]) + "-", RelayLease: relayLease,
		FixedPorts: true,
	}
	if cfg.MySQL != "" {
		server, err := stack.NewMySQL(cfg.MySQL, "tcckit_demo_"+strings.ToLower(rand.Text()[:6]))
		if err != nil {
			return nil, fmt.Errorf("demo: MySQL: %w", err)
		}
		services.Databases = server.Databases()
		if cfg.Dir == "" {
			drop = func() error {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
				defer cancel()
				return server.Drop(ctx)
			}
		}
	}
	d.stack, err = stack.New(ctx, services)
	return drop, err
}

// connect connects to what was started.
func (d *demo) connect(cfg Config) (err error) {
	run := ""
	if cfg.Dir != "" || cfg.MySQL != "" || len(cfg.RocketMQ) > 0 { // there may be data of an earlier run
		run = strings.ToLower(rand.Text()[:4])
	}
	if d.shop, err = newShop(d.stack, run); err != nil {
		return err
	}
	d.coordinator, err = coordinator.New(coordinator.Config{
		Conn:    d.shop.conns[0], // never used: queries go by HTTP
		HTTPURL: d.stack.DTM().HTTPURL, HTTPClient: &http.Client{Timeout: callTimeout},
	})
	return err
}
