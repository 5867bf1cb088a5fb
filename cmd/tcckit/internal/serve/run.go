package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tcckit/tcckit/internal/branchview"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/observe"
	"github.com/tcckit/tcckit/internal/rpc"
)

const (
	// telemetryTimeout bounds how long the end of the process waits for the last traces to be sent.
	telemetryTimeout = 3 * time.Second
	// adminTimeout bounds how long it waits for what asks the admin listener.
	adminTimeout = time.Second
)

// ErrConfig is wrapped by the errors of a Config that makes no sense.
var ErrConfig = errors.New("bad configuration")

// Run serves until ctx ends, then lets calls under way finish, within the drain timeout.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	l, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	// Serving closes them, too; what counts is a start that fails.
	defer func() { err = errors.Join(err, l.close()) }()
	telemetry, err := observe.NewTelemetry(ctx, observe.Config{
		Service: telemetryName(cfg.Services), Version: cfg.Version, OTLPEndpoint: cfg.OTLPEndpoint,
	})
	if err != nil {
		return err
	}
	defer shutDown(ctx, telemetry, cfg.Logger)
	p := &process{
		cfg: cfg, listeners: l, telemetry: telemetry, checks: make(map[string]observe.Check),
		messages: newMessages(cfg, telemetry), branches: branchview.New(), banks: newBankHost(),
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if p.participants, err = participants(cfg, l.internal); err != nil {
		return err
	}
	public, internal, err := p.servers(ctx)
	if err != nil {
		if ctx.Err() != nil { // told to end while it was starting
			return nil
		}
		return err
	}
	return p.serve(ctx, public, internal)
}

// servers makes the two gRPC servers with all services on both.
func (p *process) servers(ctx context.Context) (public, internal *rpc.Server, err error) {
	var methods []string
	var built []registrant
	for _, name := range p.cfg.Services {
		s, _ := find(name) // validated
		db, err := p.openDatabase(ctx, s)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		r, err := s.build(ctx, p, db)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := p.housekeep(name, db); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if store, ok := db.Barrier().(branchview.Store); ok {
			p.branches.Add(name, store)
		}
		methods = append(methods, s.public()...)
		if !slices.Contains(built, r) { // several banks are one
			built = append(built, r)
		}
	}
	server := rpc.ServerConfig{
		Keys: p.cfg.Keys, Logger: p.cfg.Logger, MeterProvider: p.telemetry.MeterProvider(),
		TracerProvider: p.telemetry.TracerProvider(), Propagator: p.telemetry.Propagator(),
	}
	if internal, err = rpc.NewServer(server); err != nil {
		return nil, nil, err
	}
	server.Public, server.Methods = true, methods
	if public, err = rpc.NewServer(server); err != nil {
		return nil, nil, err
	}
	for _, r := range built {
		r.Register(public)
		r.Register(internal)
	}
	p.branches.Register(internal)
	if !p.messages.idle() {
		p.runners = append(p.runners, p.messages)
	}
	return public, internal, nil
}

func (p *process) openDatabase(ctx context.Context, s service) (*database.DB, error) {
	dsn := p.cfg.Databases[s.name]
	log := p.cfg.Logger.With("service", s.name)
	if p.cfg.Migrate {
		_, err := database.Migrate(ctx, database.MigrateConfig{DSN: dsn, Migrations: s.migrations(), CreateDatabase: true, Logger: log})
		if err != nil {
			return nil, err
		}
	}
	db, err := database.Open(ctx, database.Config{
		DSN: dsn, Migrations: s.migrations(), MaxConns: p.cfg.MaxConns, Batch: p.cfg.Batch, Logger: log, MeterProvider: p.telemetry.MeterProvider(),
	})
	if err != nil {
		return nil, err
	}
	p.own(db)
	p.checks[s.name+" database"] = db.Ping
	return db, nil
}

// serve serves until ctx ends. The public listener drains first: its calls under way need the internal one
// of this process, or of others that end at the same time, until they are done.
func (p *process) serve(ctx context.Context, public, internal *rpc.Server) error {
	log := p.cfg.Logger
	admin := observe.NewAdmin(p.telemetry, log, p.checks)
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	outer, stopOuter := context.WithCancel(ctx)
	defer stopOuter()

	drain := p.cfg.DrainTimeout / 2 // for each of two listeners
	ends := make(chan error, 3)
	go func() {
		defer stopInner()
		ends <- rpc.Serve(outer, drain, rpc.Binding{Server: public, Listener: p.listeners.public})
	}()
	go func() {
		defer stopOuter()
		ends <- rpc.Serve(inner, drain, rpc.Binding{Server: internal, Listener: p.listeners.internal})
	}()
	running := 2
	if p.listeners.admin != nil {
		running++
		go func() {
			defer stopOuter()
			ends <- admin.Serve(p.listeners.admin)
		}()
	}
	stopHousekeeping := p.startHousekeeping(outer)
	log.InfoContext(ctx, "serving", p.addresses()...)
	<-outer.Done()
	stopHousekeeping()
	if ctx.Err() != nil {
		log.InfoContext(ctx, "ending: waiting for calls under way", "at_most", p.cfg.DrainTimeout.String())
	}
	admin.Drain()
	<-inner.Done()
	err := errors.Join(<-ends, <-ends)
	if running == 3 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
		defer cancel()
		err = errors.Join(err, admin.Shutdown(ctx), <-ends)
	}
	return err
}

// addresses are where the process is reached, for the log.
func (p *process) addresses() []any {
	attrs := []any{
		"services", strings.Join(p.cfg.Services, ","),
		"public", p.listeners.public.Addr().String(), "internal", p.listeners.internal.Addr().String(),
	}
	if p.listeners.admin != nil {
		attrs = append(attrs, "admin", p.listeners.admin.Addr().String())
	}
	return attrs
}

func telemetryName(services []string) string { return "tcckit-" + strings.Join(services, "-") }

// shutDown sends what is left of the traces. A collector that is away must not make the end a failure.
func shutDown(ctx context.Context, t *observe.Telemetry, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryTimeout)
	defer cancel()
	if err := t.Shutdown(ctx); err != nil {
		log.WarnContext(ctx, "the last traces could not be sent", "error", err)
	}
}
