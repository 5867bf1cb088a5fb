package serve

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tcckit/tcckit/internal/observe"
	"github.com/tcckit/tcckit/internal/rpc"
)

// serve serves until ctx ends. Health checks then say that no work is taken; after the drain delay, which gives
// those who ask them time to look elsewhere, the listeners drain. The public one drains first: its calls under way
// need the internal one of this process, or of others that end at the same time, until they are done.
func (p *process) serve(ctx context.Context, public, internal *rpc.Server) error {
	log := p.cfg.Logger
	readiness := observe.NewReadiness(p.checks)
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	outer, stopOuter := context.WithCancel(context.WithoutCancel(ctx))
	defer stopOuter()

	drain := p.cfg.DrainTimeout / 2 // for each of two listeners
	ends := make(chan error, 2)
	go func() {
		defer stopInner()
		ends <- rpc.Serve(outer, drain, rpc.Binding{Server: public, Listener: p.listeners.public})
	}()
	go func() {
		defer stopOuter()
		ends <- rpc.Serve(inner, drain, rpc.Binding{Server: internal, Listener: p.listeners.internal})
	}()
	stopProbes := p.startProbes(readiness, stopOuter)
	stopHousekeeping := p.startHousekeeping(outer)
	log.InfoContext(ctx, "serving", p.addresses()...)
	select {
	case <-ctx.Done():
	case <-outer.Done():
	}
	readiness.Drain()
	public.Unhealthy()
	internal.Unhealthy()
	p.linger(ctx, outer)
	stopOuter()
	stopHousekeeping()
	<-inner.Done()
	return errors.Join(<-ends, <-ends, stopProbes(ctx))
}

// linger takes calls for the drain delay more, unless a listener has failed.
func (p *process) linger(ctx, outer context.Context) {
	if outer.Err() != nil {
		return
	}
	if p.cfg.DrainDelay > 0 {
		p.cfg.Logger.InfoContext(ctx, "ending: health checks say so, and calls are still taken", "for", p.cfg.DrainDelay.String())
		delay := time.NewTimer(p.cfg.DrainDelay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-outer.Done():
		}
	}
	p.cfg.Logger.InfoContext(ctx, "ending: waiting for calls under way", "at_most", p.cfg.DrainTimeout.String())
}

// startProbes serves what asks after the process's health, and calls failed when it cannot. It returns what ends
// that.
func (p *process) startProbes(readiness *observe.Readiness, failed func()) (stop func(context.Context) error) {
	ends := make(chan error, 2)
	start := func(serve func() error) {
		go func() {
			defer failed()
			ends <- serve()
		}()
	}
	var stops []func(context.Context) error
	if l := p.listeners.admin; l != nil {
		admin := observe.NewAdmin(observe.AdminConfig{
			Telemetry: p.telemetry, Readiness: readiness, Logger: p.cfg.Logger, Profiles: p.cfg.AdminProfiles || isLoopback(l),
		})
		start(func() error { return admin.Serve(l) })
		stops = append(stops, admin.Shutdown)
	}
	if l := p.listeners.health; l != nil {
		health := rpc.NewHealthServer(readiness.Ready)
		start(func() error { return health.Serve(l) })
		stops = append(stops, func(context.Context) error { health.Stop(); return nil })
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTimeout)
		defer cancel()
		var errs []error
		for _, stop := range stops {
			errs = append(errs, stop(ctx), <-ends)
		}
		return errors.Join(errs...)
	}
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
	if p.listeners.health != nil {
		attrs = append(attrs, "health", p.listeners.health.Addr().String())
	}
	if p.tls != nil {
		attrs = append(attrs, "tls", strings.Join(p.tls.Identities(), ","))
	}
	return attrs
}
