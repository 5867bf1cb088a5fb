package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/propagation"

	"github.com/tcckit/tcckit/messaging"
)

// cause is what an error of a publisher says.
type cause uint8

const (
	refused     cause = iota // this message, this time
	unavailable              // any message, this time
	permanent                // this message, always
)

func causeOf(err error) cause {
	switch {
	case errors.Is(err, messaging.ErrUnavailable):
		return unavailable
	case errors.Is(err, messaging.ErrPermanent):
		return permanent
	}
	return refused
}

func (c cause) String() string {
	return [...]string{"refused", "unavailable", "permanent"}[c]
}

// publish publishes a batch until its deadline, or until ctx ends, and decides
// the fate of each of its messages. Those that nobody came to are given back.
//
// What was not tried before goes in one call. If that fails, and what was tried
// before, one by one: so a message that is refused, or at which the publisher
// hangs or the process dies, takes no others with it for long.
func (w *worker) publish(ctx context.Context, b *batch) {
	// The end of ctx ends no call: what the broker takes must be noted.
	limit, cancel := context.WithDeadline(context.WithoutCancel(ctx), b.deadline)
	defer cancel()
	together, alone := w.sort(b)
	// A process that was stopped for long has lost its lease.
	if len(together) > 0 && ctx.Err() == nil && limit.Err() == nil {
		switch err := w.call(limit, b.topic, together); {
		case err == nil:
			w.pauses.end(b.queue)
			decide(together, fate{kind: sent})
		case causeOf(err) == unavailable:
			w.unavailable(ctx, b, err)
			return
		case len(together) == 1:
			w.blame(together[0], err)
		case limit.Err() != nil:
			for _, it := range together {
				w.blame(it, err)
			}
			return
		default:
			alone = merge(together, alone)
		}
	}
	stopped := make(map[int64]bool) // lanes
	for _, it := range alone {
		if ctx.Err() != nil || limit.Err() != nil {
			return
		}
		if stopped[it.lane] {
			continue
		}
		err := w.call(limit, b.topic, []*item{it})
		switch {
		case err == nil:
			w.pauses.end(b.queue)
			it.fate = fate{kind: sent}
		case causeOf(err) == unavailable:
			w.unavailable(ctx, b, err)
			return
		default:
			w.blame(it, err)
			stopped[it.lane] = it.lane != 0
		}
	}
}

// sort says what may go in one call and what goes alone. A lane in which one
// goes alone goes alone as a whole, to stay in order. What has been tried as
// often as it may be goes nowhere, nor does what is behind it in its lane.
func (w *worker) sort(b *batch) (together, alone []*item) {
	tried, stopped := make(map[int64]bool), make(map[int64]bool)
	for _, it := range b.items {
		tried[it.lane] = tried[it.lane] || it.lane != 0 && it.tries > 1
	}
	for _, it := range b.items {
		if it.fate.kind == untouched && it.tries > w.cfg.MaxTries {
			it.fate = w.giveUp(b.state, it.tries-1)
		}
		switch {
		case it.fate.kind == gaveUp:
			stopped[it.lane] = it.lane != 0
		case stopped[it.lane]:
		case b.state == StateNew && it.tries > 1 || tried[it.lane]:
			alone = append(alone, it)
		default:
			together = append(together, it)
		}
	}
	return together, alone
}

// giveUp is the fate of a message whose tries were spent before this one.
func (w *worker) giveUp(state State, tries int) fate {
	if state == StateSent {
		return fate{kind: gaveUp, why: fmt.Sprintf("no result after it was sent %d times", tries)}
	}
	return fate{kind: gaveUp, why: fmt.Sprintf("it was tried %d times, at last without a note of how that ended: see whether the process dies of it", tries)}
}

// merge joins two runs of items in the order in which they were written.
func merge(a, b []*item) []*item {
	out := make([]*item, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].seq < b[0].seq {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// unavailable leaves the topic alone for a while. It is not held against the
// messages.
func (w *worker) unavailable(ctx context.Context, b *batch, err error) {
	d := w.pauses.begin(b.queue)
	w.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "outbox: the broker cannot be reached, or the topic not now",
		slog.String("topic", b.topic), slog.Duration("again_in", d), slog.Any("error", err))
}

// blame decides the fate of a message that could not be published.
func (w *worker) blame(it *item, err error) {
	if causeOf(err) == permanent || it.tries >= w.cfg.MaxTries {
		it.fate = fate{kind: gaveUp, why: err.Error()}
		return
	}
	it.fate = fate{kind: again, in: backoff(it.tries, w.cfg.MinBackoff, w.cfg.MaxBackoff).Round(time.Millisecond), why: err.Error()}
}

// tell logs what went wrong with a batch: each message that is given up, and how
// many are tried again.
func (w *worker) tell(ctx context.Context, b *batch) {
	retried, why := 0, ""
	for _, it := range b.items {
		switch it.fate.kind {
		case gaveUp:
			w.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelError, "outbox: a message is given up: see why, and have it tried again", slog.String("topic", b.topic), slog.String("id", it.id),
				slog.String("key", it.metadata[messaging.MetadataKey]), slog.Int("tries", it.tries), slog.String("error", it.fate.why))
		case again:
			retried, why = retried+1, it.fate.why
		default:
		}
	}
	if retried > 0 {
		w.outbox.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "outbox: messages could not be published, and are tried again", slog.String("topic", b.topic), slog.Int("messages", retried), slog.String("error", why))
	}
}

var errHung = errors.New("the publisher did not return within three quarters of the lease; it is not known whether the broker has the message")

// call has the publisher publish items. It returns at the deadline of ctx at
// the latest, with a publisher that does not.
func (w *worker) call(ctx context.Context, topic string, items []*item) error {
	select {
	case w.calls <- struct{}{}:
	case <-ctx.Done():
		return messaging.Unavailable(errors.New("earlier calls of the publisher hang"))
	}
	msgs := make([]*message.Message, len(items))
	for i, it := range items {
		msgs[i] = it.message(ctx, w.outbox.cfg.Propagator)
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		defer func() { <-w.calls }()
		done <- w.publishSafely(ctx, topic, msgs)
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errHung
		select {
		case err = <-done: // one that heeds the deadline
		case <-time.After(w.cfg.Lease / 20):
		}
	}
	w.outbox.telemetry.call(ctx, topic, len(items), time.Since(began), err)
	return err
}

// publishSafely makes an error of a panic.
func (w *worker) publishSafely(ctx context.Context, topic string, msgs []*message.Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the publisher panicked: %v", v)
			w.outbox.cfg.Logger.ErrorContext(ctx, "outbox: the publisher panicked", "topic", topic, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	return w.cfg.Publisher.Publish(topic, msgs...)
}

// message is the item for one call of the publisher, which may change it.
func (it *item) message(ctx context.Context, p propagation.TextMapPropagator) *message.Message {
	m := message.NewMessage(it.id, it.payload)
	for k, v := range it.metadata {
		m.Metadata.Set(k, v)
	}
	m.SetContext(p.Extract(ctx, propagation.MapCarrier(it.metadata)))
	return m
}
