package barrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/tcckit/tcckit/tcc"
)

// The defaults of [ResolverConfig].
const (
	DefaultStuckAfter      = time.Hour
	DefaultResolveInterval = 5 * time.Minute
)

// ResolverConfig configures [NewResolver]. Store, Coordinator and Sender are
// required.
type ResolverConfig struct {
	// Store has the barrier rows of the participant.
	Store ResolutionStore
	// Coordinator tells how a global transaction ended.
	Coordinator Coordinator
	// Sender reaches the participant whose database this is.
	Sender Sender
	// Method returns the full method of a branch's Confirm or Cancel, given
	// that of its Try. Nil means [PhaseMethod].
	Method func(try string, phase tcc.Phase) (string, error)

	// OlderThan is the age from which a TRIED row is looked into. It should
	// exceed what a global transaction may take. 0 means
	// [DefaultStuckAfter].
	OlderThan time.Duration
	// Interval is the time between two passes of [Resolver.Run], which a
	// random tenth keeps several processes from doing at once. 0 means
	// [DefaultResolveInterval].
	Interval time.Duration

	// By names this resolver in the records. Empty means "resolver on" and
	// the host's name.
	By string
	// Participant is the value of the metric attribute of that name and of a
	// log field. Empty: none.
	Participant string
	// Logger receives an error for each branch that had to be finished in the
	// coordinator's place, or that needs a person. Nil means slog.Default.
	Logger *slog.Logger
	// MeterProvider is where metrics go. Nil means OpenTelemetry's global
	// one.
	MeterProvider metric.MeterProvider
}

// setDefaults reports everything that is wrong at once.
func (c *ResolverConfig) setDefaults() error {
	var errs []error
	for what, missing := range map[string]bool{"Store": c.Store == nil, "Coordinator": c.Coordinator == nil, "Sender": c.Sender == nil} {
		if missing {
			errs = append(errs, fmt.Errorf("no %s is given", what))
		}
	}
	if c.OlderThan < 0 || c.Interval < 0 {
		errs = append(errs, fmt.Errorf("want more than 0 for OlderThan and Interval, got %s and %s", c.OlderThan, c.Interval))
	}
	if c.Method == nil {
		c.Method = PhaseMethod
	}
	if c.OlderThan == 0 {
		c.OlderThan = DefaultStuckAfter
	}
	if c.Interval == 0 {
		c.Interval = DefaultResolveInterval
	}
	if c.By == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "a host without a name"
		}
		c.By = "resolver on " + host
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Participant != "" {
		c.Logger = c.Logger.With("participant", c.Participant)
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	return errors.Join(errs...)
}

// Resolver finishes branches that the coordinator will not finish any more:
// those that are TRIED although their global transaction has ended, as after a
// force stop in the coordinator's console, or after stock DTM lost a
// transaction whose Submit was repeated. It calls the participant's own Confirm
// or Cancel with the request that is stored with the row, so that every rule of
// the barrier holds, also against the coordinator's own delivery and another
// resolver's at the same moment; and it records each such act in the
// participant's database. It is safe for concurrent use.
type Resolver struct {
	cfg       ResolverConfig
	telemetry *resolverTelemetry
}

// NewResolver returns a resolver. Its error names everything that is wrong with
// cfg.
func NewResolver(cfg ResolverConfig) (*Resolver, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("barrier: resolver: %w", err)
	}
	t, err := newResolverTelemetry(cfg.MeterProvider, cfg.Participant)
	if err != nil {
		return nil, fmt.Errorf("barrier: resolver: %w", err)
	}
	return &Resolver{cfg: cfg, telemetry: t}, nil
}

// Run makes a pass after each interval until ctx ends. A pass that fails is
// logged, and the next one tries again. One in twelve reads the whole table; the
// others look at what was stuck before, and at the transactions that began since.
func (r *Resolver) Run(ctx context.Context) {
	w := newWindow()
	every(ctx, r.cfg.Interval, func() {
		if _, err := r.pass(ctx, w); err != nil && ctx.Err() == nil {
			r.cfg.Logger.WarnContext(ctx, "barrier: looking for stuck branches failed, it is tried again", "after", r.cfg.Interval.String(), "error", err)
		}
	})
}
