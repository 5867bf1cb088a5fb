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
	if err := p.openTLS(); err != nil {
		return err
	}
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
	inside, outside := server, server
	p.secureInternal(&inside)
	if internal, err = rpc.NewServer(inside); err != nil {
		return nil, nil, err
	}
	outside.Public, outside.Methods = true, methods
	p.securePublic(&outside)
	if public, err = rpc.NewServer(outside); err != nil {
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

func telemetryName(services []string) string { return "tcckit-" + strings.Join(services, "-") }

// shutDown sends what is left of the traces. A collector that is away must not make the end a failure.
func shutDown(ctx context.Context, t *observe.Telemetry, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryTimeout)
	defer cancel()
	if err := t.Shutdown(ctx); err != nil {
		log.WarnContext(ctx, "the last traces could not be sent", "error", err)
	}
}
