package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tcckit/tcckit/messaging"
)

// The defaults of [Config].
const (
	DefaultMaxTries  = 8
	DefaultTimeout   = 30 * time.Second
	DefaultMaxAge    = 24 * time.Hour
	DefaultRetention = 14 * 24 * time.Hour
)

// MinRetention is the shortest retention: a message that comes again after its
// row was deleted is handled again.
const MinRetention = 24 * time.Hour

// Work is what a message does to the consumer's database, in the transaction
// that holds the inbox row. It may run more than once, when a deadlock or a lost
// connection makes the inbox start over, and must touch nothing but its Tx. An
// error undoes all of it.
type Work func(ctx context.Context, tx *Tx) error

// Handler reads a message and does what must not happen in a transaction, such
// as calls, which have to be idempotent: it runs again for every delivery and
// every try, also for a message that turns out to be a duplicate. Then it
// returns the work; nil for none. The message is a copy: to acknowledge it or to
// change it has no effect.
//
// Errors that wrap [messaging.ErrPermanent] or [messaging.ErrUnavailable], of
// the work too, are treated as the package's documentation says. ctx ends after
// Config.Timeout, when the subscriber closes, or with Run.
type Handler func(ctx context.Context, msg *message.Message) (Work, error)

// Config configures [New]. DB, Dialect, Consumer and Handler are required.
type Config struct {
	// DB is the consumer's database, with the table of [Schema]. On MySQL
	// interpolateParams and multiStatements in its DSN save round trips: with
	// both, a message costs as many as its work in a transaction of its own.
	DB *sql.DB
	// Dialect is how DB is spoken to.
	Dialect messaging.Dialect
	// Consumer names who handles: at most 64 letters, digits, dots, hyphens
	// and underscores. A message is handled once for each consumer. All
	// processes of a consumer have the same name, and it must not change.
	Consumer string
	// Topic is where the messages come from, for logs and dead letters.
	Topic string
	// Handler handles a message.
	Handler Handler

	// DeadLetters takes the messages that are given up. Nil: they are only in
	// the table.
	DeadLetters message.Publisher
	// DeadLetterTopic is where to. Empty means Consumer + "-dead", with
	// hyphens for dots.
	DeadLetterTopic string

	// MaxTries is how often a message may fail. 0 means [DefaultMaxTries].
	MaxTries int
	// MaxAge is how long a message is tried whose failures do not count.
	// 0 means [DefaultMaxAge].
	MaxAge time.Duration
	// Backoff is the delay between two tries.
	Backoff Backoff
	// Timeout bounds one try. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Ordered keeps a message that fails in its place: it is not parked but
	// refused, after its delay, so that the broker delivers it again before
	// what follows it. It is dead after MaxTries all the same, and what
	// follows it is handled then.
	Ordered bool
	// Retention is how long the row of a message that was handled is kept,
	// from then on: longer than the broker may deliver it again. 0 means
	// [DefaultRetention]; less than [MinRetention] is refused.
	Retention time.Duration

	// Logger receives what fails. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider, TracerProvider and Propagator are where metrics and
	// spans go, and how a trace travels in metadata. Nil means
	// OpenTelemetry's global ones.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	Propagator     propagation.TextMapPropagator
}

// setDefaults reports everything that is wrong at once.
func (c *Config) setDefaults() error {
	errs := c.missing()
	if c.MaxTries < 0 || c.MaxAge < 0 || c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("want more than 0 for MaxTries, MaxAge and Timeout, got %d, %s and %s", c.MaxTries, c.MaxAge, c.Timeout))
	}
	if c.Retention != 0 && c.Retention < MinRetention {
		errs = append(errs, fmt.Errorf("a retention of %s: a message that comes again after it is handled again, so want at least %s", c.Retention, MinRetention))
	}
	errs = append(errs, c.Backoff.setDefaults())
	c.DeadLetterTopic = orDefault(c.DeadLetterTopic, deadLetterTopic(c.Consumer))
	c.MaxTries = orDefault(c.MaxTries, DefaultMaxTries)
	c.MaxAge = orDefault(c.MaxAge, DefaultMaxAge)
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.Retention = orDefault(c.Retention, DefaultRetention)
	c.Logger = orDefault(c.Logger, slog.Default())
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.Propagator == nil {
		c.Propagator = otel.GetTextMapPropagator()
	}
	return errors.Join(errs...)
}

func (c *Config) missing() []error {
	errs := []error{c.Dialect.Validate()}
	if c.DB == nil {
		errs = append(errs, errors.New("no DB is given"))
	}
	if c.Handler == nil {
		errs = append(errs, errors.New("no Handler is given"))
	}
	if !validConsumer(c.Consumer) {
		errs = append(errs, fmt.Errorf("consumer %q: want 1 to %d letters, digits, dots, hyphens and underscores", c.Consumer, maxConsumer))
	}
	if len(c.Topic) > maxTopic {
		errs = append(errs, fmt.Errorf("a topic of %d bytes: want at most %d", len(c.Topic), maxTopic))
	}
	return errs
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
