package rocketmq

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// The bounds of what a subscription does at its end with brokers that may be
// away.
const (
	commitTimeout  = 5 * time.Second
	releaseTimeout = 5 * time.Second
	endPoll        = 20 * time.Millisecond
)

// close hands out nothing more, waits for what was handed out, tells the brokers
// how far we have come, gives back the queues, and shuts the client down, in
// this order. In any other, what was handled is delivered again; or the client
// sends on a channel that it has closed, in a goroutine that nothing protects.
func (s *subscription) close() {
	s.once.Do(func() {
		s.out.drain(s.cfg.DrainTimeout)
		s.cancel()
		s.tasks.Wait()
		s.bus.untrack(s)
		s.commit()
		s.release()
		if err := s.consumer.Shutdown(); err != nil {
			s.bus.cfg.Logger.Warn("rocketmq: shutting a consumer down", "group", s.group, "topic", s.topic, "error", err)
		}
		s.queues.end()
	})
}

// note tells the brokers how far we have come in each queue, also within what
// one pull brought.
func (s *subscription) note() {
	for q, offset := range s.read.acknowledged() {
		if noted, err := s.consumer.CurrentOffset(&q); err == nil && noted < offset {
			_ = s.consumer.UpdateOffset(&q, offset) // never fails
		}
	}
	if err := s.consumer.PersistOffset(context.Background(), s.topic); err != nil {
		s.bus.cfg.Logger.Debug("rocketmq: the client does not say how far we have come", "group", s.group, "topic", s.topic, "error", err)
	}
}

// commit returns when the brokers know what was acknowledged. The client tells
// them without waiting for an answer.
func (s *subscription) commit() {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	want := s.read.acknowledged()
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	for len(want) > 0 {
		s.note()
		err := s.checkCommitted(ctx, want)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.bus.cfg.Logger.Warn("rocketmq: the broker may not know what was handled last: it will be delivered again",
				"group", s.group, "topic", s.topic, "error", err)
			return
		case <-tick.C:
		}
	}
}

// checkCommitted reports a queue of which the broker does not know that it was
// read up to the offset that is wanted.
func (s *subscription) checkCommitted(ctx context.Context, want map[primitive.MessageQueue]int64) error {
	r, err := s.bus.route(ctx, s.topic)
	if err != nil {
		return err
	}
	for _, q := range r.Queues {
		offset, ok := want[primitive.MessageQueue{Topic: s.topic, BrokerName: q.Broker, QueueId: q.ID}]
		if !ok {
			continue
		}
		committed, err := s.bus.admin.Committed(ctx, s.group, s.topic, q)
		if err != nil {
			return err
		}
		if committed < offset {
			return fmt.Errorf("queue %d of %s was read up to %d, the broker knows of %d", q.ID, q.Broker, offset, committed)
		}
	}
	return nil
}

// release has the client give back all queues, and keeps it from taking any. It
// returns early if no broker answers, so that none delivers either.
func (s *subscription) release() {
	s.queues.release()
	timer := time.NewTimer(releaseTimeout)
	defer timer.Stop()
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	for quiet := false; !quiet; {
		s.nudge() // at least twice: the second shows that the first is over
		select {
		case <-s.queues.quiet:
			quiet = true
		case <-timer.C:
			return
		case <-tick.C:
		}
	}
	select {
	case s.nudging <- struct{}{}: // and none after this one
	case <-timer.C:
	}
}
