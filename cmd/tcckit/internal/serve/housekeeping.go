package serve

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/cmd/tcckit/internal/dtmview"
	"github.com/tcckit/tcckit/internal/database"
)

// Housekeeping says what a process does for the barriers of its services' databases, beside serving.
// Several replicas doing the same do no harm.
type Housekeeping struct {
	// SweepInterval is the time between two sweeps, 0 for none; Retention is how long ago a branch must
	// have ended to be deleted, 0 for the default of package barrier.
	SweepInterval, Retention time.Duration
	// ResolveInterval is the time between two looks at branches that are stuck, 0 for none; StuckAfter is
	// from what age they are.
	ResolveInterval, StuckAfter time.Duration
	// AskCoordinator: they are finished as the coordinator decided. Otherwise they are only counted.
	AskCoordinator bool
}

func (h Housekeeping) validate() error {
	if h.SweepInterval < 0 || h.ResolveInterval < 0 || h.StuckAfter < 0 {
		return fmt.Errorf("intervals of %s and %s, branches stuck after %s: want more than 0, or 0 for none", h.SweepInterval, h.ResolveInterval, h.StuckAfter)
	}
	return (&barrier.SweepOptions{Retention: h.Retention}).SetDefaults()
}

// runner works in the background until its context ends.
type runner interface{ Run(context.Context) }

// housekeep has the barrier of a service's database looked after while the process serves.
func (p *process) housekeep(service string, db *database.DB) error {
	h := p.cfg.Housekeeping
	if h.SweepInterval > 0 {
		sweeper, err := barrier.NewSweeper(barrier.SweeperConfig{
			Store: db.Barrier(), Retention: h.Retention, Interval: h.SweepInterval,
			Participant: service, Logger: p.cfg.Logger, MeterProvider: p.telemetry.MeterProvider(),
		})
		if err != nil {
			return err
		}
		p.runners = append(p.runners, sweeper)
	}
	if h.ResolveInterval > 0 {
		resolver, err := p.resolver(service, db)
		if err != nil {
			return err
		}
		p.runners = append(p.runners, resolver)
	}
	return nil
}

// resolver calls the service's branches at this process's own internal listener.
func (p *process) resolver(service string, db *database.DB) (*barrier.Resolver, error) {
	store, ok := db.Barrier().(barrier.ResolutionStore)
	if !ok {
		return nil, fmt.Errorf("the barrier of %s, a %T, keeps no record of resolutions", service, db.Barrier())
	}
	var coordinator barrier.Coordinator = nobody{}
	if p.cfg.AskCoordinator {
		client, err := p.coordinator()
		if err != nil {
			return nil, err
		}
		coordinator = dtmview.New(client)
	}
	conn, err := p.dialSelf()
	if err != nil {
		return nil, err
	}
	return barrier.NewResolver(barrier.ResolverConfig{
		Store: store, Coordinator: coordinator, Sender: &barrier.GRPCSender{Conn: conn, Keys: p.cfg.Keys},
		OlderThan: p.cfg.StuckAfter, Interval: p.cfg.ResolveInterval,
		Participant: service, Logger: p.cfg.Logger, MeterProvider: p.telemetry.MeterProvider(),
	})
}

// nobody is the coordinator of a process that was not told where it is.
type nobody struct{}

var errNobody = errors.New("this process was not told where the coordinator is: --dtm-http")

func (nobody) Look(context.Context, string) (barrier.View, error) { return barrier.View{}, errNobody }

func (nobody) RetryNow(context.Context, time.Duration, int) (int, error) { return 0, errNobody }

// startHousekeeping runs what looks after the barriers, and returns what ends it and waits for its end.
func (p *process) startHousekeeping(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, r := range p.runners {
		running.Go(func() { r.Run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}
