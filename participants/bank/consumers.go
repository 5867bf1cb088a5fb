package bank

import "github.com/tcckit/tcckit/internal/event"

// Consumers are the messages that the bank handles, each by an inbox of its
// name in the bank's database.
func (s *Service) Consumers() []event.Consumer {
	return []event.Consumer{
		{Name: "bank-" + s.cfg.Name + "-credit", Topic: event.TopicTransfer(s.cfg.Name), Handler: s.credit},
		{Name: "bank-" + s.cfg.Name + "-settle", Topic: event.TopicSettled(s.cfg.Name), Handler: s.settle},
	}
}
