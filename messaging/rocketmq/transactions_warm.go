package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// A client makes itself known only to brokers that it has a route to, and that
// it asks for with the first message that it sends. One that has just been
// started would therefore never be asked about the half messages of its
// predecessor. So it is made to ask for a route to each broker, with a message
// that then goes nowhere.

const (
	// warmInterval is how often there is a look for brokers that have joined. The
	// client reports to those that it knows as often.
	warmInterval = 30 * time.Second
	// coldInterval is how soon a look that failed is repeated.
	coldInterval = time.Second
	// warmTimeout bounds one look.
	warmTimeout = 10 * time.Second
)

// keepWarm closes warmed after the first look, which may have failed.
func (t *Transactions) keepWarm(ctx context.Context, warmed chan<- struct{}) {
	for first := true; ; first = false {
		pause := warmInterval
		if err := within(ctx, warmTimeout, t.warm); err != nil {
			pause = coldInterval
			if ctx.Err() == nil {
				t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "rocketmq: transactions: the brokers cannot be found, and will not ask about half messages",
					slog.String("group", t.cfg.Group), slog.Any("error", err))
			}
		}
		if first {
			close(warmed)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// warm makes the client known to the brokers that are not known yet.
func (t *Transactions) warm(ctx context.Context) error {
	brokers, err := t.bus.brokers(ctx)
	if err != nil {
		return err
	}
	for name := range brokers {
		if t.queues.knows(name) {
			continue
		}
		// Each broker has a topic of its own name.
		dummy := primitive.NewMessage(name, []byte{0})
		dummy.WithProperty(propertyWarm, mark)
		done := make(chan struct{})
		t.house.Go(func() { // the client does not heed ctx
			defer close(done)
			defer t.recovered(ctx)
			_, _ = t.producer.SendMessageInTransaction(ctx, dummy) // it fails, for it has no queue
		})
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !t.queues.knows(name) {
			return fmt.Errorf("no name server told the route to the broker %s", name)
		}
	}
	return nil
}

// propertyWarm marks a message that is not to be sent.
const propertyWarm = "tcckit-warm"

// warmSelector finds no queue for a message that is not to be sent, and keeps in
// mind that the client, which then has a route, has asked it.
type warmSelector struct {
	selector
	mu     sync.Mutex
	routes map[string]bool
}

func newWarmSelector() *warmSelector {
	return &warmSelector{selector: selector{turn: map[string]int{}}, routes: map[string]bool{}}
}

func (s *warmSelector) Select(m *primitive.Message, queues []*primitive.MessageQueue, lastBroker string) *primitive.MessageQueue {
	if m.GetProperty(propertyWarm) == "" {
		return s.selector.Select(m, queues, lastBroker)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes[m.Topic] = true
	return nil
}

func (s *warmSelector) knows(broker string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.routes[broker]
}
