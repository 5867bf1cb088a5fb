package serve

import (
	"context"
	"slices"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/participants/bank"
	"github.com/tcckit/tcckit/participants/cart"
	"github.com/tcckit/tcckit/participants/dispatch"
	"github.com/tcckit/tcckit/participants/express"
)

// The services that follow others by message.

func newCart(_ context.Context, p *process, db *database.DB) (registrant, error) {
	s, err := cart.New(cart.Config{DB: db})
	if err != nil {
		return nil, err
	}
	p.messages.consume("cart", db, s.Consumers()...)
	return s, nil
}

// newDispatch makes the dispatch service, which asks the order service about what it was told.
func newDispatch(_ context.Context, p *process, db *database.DB) (registrant, error) {
	orders, err := p.dialParticipant(p.participants["order"])
	if err != nil {
		return nil, err
	}
	s, err := dispatch.New(dispatch.Config{DB: db, Order: orders})
	if err != nil {
		return nil, err
	}
	p.messages.consume("dispatch", db, s.Consumers()...)
	return s, nil
}

func newExpress(ctx context.Context, p *process, db *database.DB) (registrant, error) {
	o, err := p.messages.publish(ctx, "express", db, event.TopicExpressResult, event.TopicExpressTake)
	if err != nil {
		return nil, err
	}
	s, err := express.New(express.Config{DB: db, Outbox: o})
	if err != nil {
		return nil, err
	}
	p.messages.consume("express", db, s.Consumers()...)
	return s, nil
}

// newBank makes a bank. It asks the others by half messages, or where there is no broker by its outbox.
func newBank(name string) func(context.Context, *process, *database.DB) (registrant, error) {
	return func(ctx context.Context, p *process, db *database.DB) (registrant, error) {
		service := bankPrefix + name
		peers := slices.DeleteFunc(banks(), func(other string) bool { return other == name })
		topics := make([]string, 0, 2*len(peers))
		for _, peer := range peers {
			topics = append(topics, event.TopicTransfer(peer), event.TopicSettled(peer))
		}
		o, err := p.messages.publish(ctx, service, db, "", topics...)
		if err != nil {
			return nil, err
		}
		cfg := bank.Config{Name: name, Peers: peers, DB: db, Outbox: o, Logger: p.cfg.Logger.With("service", service)}
		if len(p.cfg.RocketMQ.NameServers) > 0 {
			cfg.Sender = p.messages.transactions(service, db, topics...)
		} else if cfg.Sender, err = bank.NewOutboxSender(db, o); err != nil {
			return nil, err
		}
		s, err := bank.New(cfg)
		if err != nil {
			return nil, err
		}
		p.messages.consume(service, db, s.Consumers()...)
		p.banks.served[service] = s
		return p.banks, nil
	}
}
