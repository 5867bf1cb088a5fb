package serve

import (
	"context"
	"errors"
	"time"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/participants/order"
)

// queryTimeout bounds one question to DTM by HTTP.
const queryTimeout = 3 * time.Second

// newOrder makes the order service, which begins global transactions and calls the other two.
func newOrder(ctx context.Context, p *process, db *database.DB) (registrant, error) {
	client, err := p.coordinator()
	if err != nil {
		return nil, err
	}
	cfg := order.Config{DB: db, Coordinator: client, Logger: p.cfg.Logger.With("service", "order")}
	var errs []error
	for name, peer := range map[string]*order.Peer{"order": &cfg.Order, "account": &cfg.Account, "stock": &cfg.Stock} {
		participant := p.participants[name]
		conn, err := p.dialParticipant(participant)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*peer = order.Peer{Conn: conn, Target: participant.Target}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Announcer, err = p.announcer(ctx, db); err != nil {
		return nil, err
	}
	return order.New(cfg)
}

// announcer is how confirmed orders are announced, nil if nobody can hear it.
func (p *process) announcer(ctx context.Context, db *database.DB) (order.Announcer, error) {
	if !p.cfg.reaches("cart", "dispatch") {
		p.cfg.Logger.WarnContext(ctx, "confirmed orders are not announced: there is no RocketMQ (--rocketmq), and this process serves neither cart nor dispatch")
		return nil, nil
	}
	if p.cfg.RocketMQ.HalfMessages {
		return p.messages.transactions("order", db, event.TopicOrderConfirmed), nil
	}
	o, err := p.messages.publish(ctx, "order", db, "", event.TopicOrderConfirmed)
	if err != nil {
		return nil, err
	}
	return order.NewOutboxAnnouncer(o), nil
}

// coordinator makes the process's client of DTM, once.
func (p *process) coordinator() (*coordinator.Client, error) {
	if p.client != nil {
		return p.client, nil
	}
	dtm, err := p.dial(p.cfg.DTMGRPC)
	if err != nil {
		return nil, err
	}
	cfg := coordinator.Config{
		Conn: dtm, HTTPURL: p.cfg.DTMHTTP, Keys: p.cfg.Keys, RetryInterval: p.cfg.RetryInterval, Logger: p.cfg.Logger,
		MeterProvider: p.telemetry.MeterProvider(), TracerProvider: p.telemetry.TracerProvider(), Propagator: p.telemetry.Propagator(),
	}
	if p.tls != nil {
		cfg.HTTPClient = p.tls.HTTPClient(queryTimeout)
	}
	p.client, err = coordinator.New(cfg)
	return p.client, err
}
