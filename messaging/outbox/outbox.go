package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"

	"github.com/tcckit/tcckit/messaging"
)

// Config configures [New]. DB and Dialect are required.
type Config struct {
	// DB is the database of the business, which has the table that [Schema]
	// creates.
	DB *sql.DB
	// Dialect is how DB is spoken to.
	Dialect messaging.Dialect
	// ResultTopic is where receivers send their results. Messages with
	// ExpectResult need it.
	ResultTopic string
	// Participant is the value of the metric attribute of that name and of a
	// log field. Empty: none.
	Participant string
	// Logger is told what goes wrong. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global one.
	MeterProvider metric.MeterProvider
	// Propagator writes the trace context into metadata. Nil means
	// OpenTelemetry's global one.
	Propagator propagation.TextMapPropagator
}

// Outbox writes messages. It is safe for concurrent use.
type Outbox struct {
	cfg       Config
	sql       dialect
	telemetry *telemetry

	mu     sync.Mutex
	relays map[*Relay]struct{} // that run

	topics topics
}

// New returns an outbox, after a look at its table.
func New(ctx context.Context, cfg Config) (*Outbox, error) {
	if cfg.DB == nil {
		return nil, errors.New("outbox: no DB is given")
	}
	if err := cfg.Dialect.Validate(); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	if !plain(cfg.ResultTopic) || len(cfg.ResultTopic) > MaxName {
		return nil, fmt.Errorf("outbox: the result topic %.80q: want at most %d printable ASCII characters without spaces", cfg.ResultTopic, MaxName)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Participant != "" {
		cfg.Logger = cfg.Logger.With("participant", cfg.Participant)
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.Propagator == nil {
		cfg.Propagator = otel.GetTextMapPropagator()
	}
	t, err := newTelemetry(cfg.MeterProvider, cfg.Participant)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	if err := checkTable(ctx, cfg.DB); err != nil {
		return nil, err
	}
	return &Outbox{cfg: cfg, sql: dialect{cfg.Dialect}, telemetry: t, relays: make(map[*Relay]struct{})}, nil
}

func checkTable(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT "+columns+" FROM outbox WHERE 1 = 0")
	if err != nil {
		return fmt.Errorf("outbox: its table cannot be read, run `tcckit migrate`, or Schema in your own migrations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	return rows.Err()
}

// Wake tells the relays of this process that there is something to publish. It
// does not block.
func (o *Outbox) Wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for r := range o.relays {
		r.wakeUp()
	}
}

func (o *Outbox) add(r *Relay) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.relays[r] = struct{}{}
}

func (o *Outbox) remove(r *Relay) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.relays, r)
}

// transact runs work in a transaction, READ COMMITTED on MySQL: no gap that it
// has looked at is locked against those who write messages.
func (o *Outbox) transact(ctx context.Context, work func(tx *sql.Tx) error) error {
	var opts *sql.TxOptions
	if o.cfg.Dialect == messaging.MySQL {
		opts = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	tx, err := o.cfg.DB.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it is an error of no interest
	if err := work(tx); err != nil {
		return err
	}
	return tx.Commit()
}
