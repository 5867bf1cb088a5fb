package inbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Inbox handles the messages of one consumer. It is safe for concurrent use, and
// several processes may have one of the same name.
type Inbox struct {
	cfg       Config
	sql       statements
	begin     beginning
	telemetry *telemetry
	running   running
	// retry and bury wake the loops of Run.
	retry, bury bell
	// refused counts the messages refused in a row because the database is
	// away.
	refused atomic.Int32
	// unpublished counts the dead letters that could not be published in a
	// row.
	unpublished atomic.Int32
}

// New returns an inbox. Its error names everything that is wrong with cfg, or
// what is wrong with the database.
func New(ctx context.Context, cfg Config) (*Inbox, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	cfg.Logger = cfg.Logger.With("consumer", cfg.Consumer)
	i := &Inbox{cfg: cfg, sql: newStatements(cfg.Dialect), retry: make(bell, 1), bury: make(bell, 1)}
	if err := check(ctx, cfg.DB, cfg.Dialect); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	var err error
	if i.begin, err = findBeginning(ctx, cfg.DB, cfg.Dialect); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	if i.telemetry, err = newTelemetry(cfg); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	return i, nil
}

// Handle handles a message; it is a message.NoPublishHandlerFunc. Nil says that
// it may be acknowledged: it was handled, now or before, or its row in the
// database says what is to be done with it. An error says that the broker must
// deliver it again: the database is away, the message's context has ended, or,
// with Config.Ordered, it failed. Such an error comes after a pause, which the
// message's context ends, so that a broker that delivers again at once does not
// turn in circles.
func (i *Inbox) Handle(msg *message.Message) error {
	ctx, end := i.telemetry.begin(msg.Context(), i, msg)
	o, err := i.receive(ctx, msg)
	end(o, err)
	return err
}

func (i *Inbox) receive(ctx context.Context, msg *message.Message) (outcome, error) {
	r := &run{id: rowID(msg.UUID), msg: msg, tries: 1, inPlace: i.cfg.Ordered}
	for range attempts {
		err := i.doCounted(ctx, r)
		if err == nil {
			i.refused.Store(0)
			i.telemetry.ended(ctx, r)
			return outcomeDone, nil
		}
		var v verdict
		if !errors.Is(err, errExists) {
			if ctx.Err() != nil {
				return outcomeRefused, fmt.Errorf("inbox: message %s: %w", r.id, err)
			}
			cause := err
			if v, err = i.settle(ctx, r, cause); err == nil {
				return i.settled(ctx, r, v, cause)
			}
		}
		known := false
		if errors.Is(err, errExists) {
			known, err = i.resume(ctx, r)
		}
		switch {
		case err != nil:
			return i.refuse(ctx, r, err)
		case known:
			return outcomeDuplicate, nil
		}
	}
	return i.refuse(ctx, r, errors.New("other deliveries of it are always faster"))
}

// settled answers the broker for a message whose failure is in its row.
func (i *Inbox) settled(ctx context.Context, r *run, v verdict, cause error) (outcome, error) {
	i.refused.Store(0)
	if v.state == Dead {
		return outcomeDead, nil
	}
	if !r.inPlace {
		return outcomeParked, nil
	}
	_ = pause(ctx, v.delay)
	return outcomeRefused, fmt.Errorf("inbox: message %s failed %d times and stays in its place: %w", r.id, r.tries, cause)
}

// refuse gives a message back to the broker, for nothing can be written down.
func (i *Inbox) refuse(ctx context.Context, r *run, err error) (outcome, error) {
	_ = pause(ctx, min(i.cfg.Backoff.after(int(min(i.refused.Add(1), 16))), maxRefusal))
	return outcomeRefused, fmt.Errorf("inbox: message %s is left to the broker: %w", r.id, err)
}

// maxRefusal bounds the pause before a message is given back.
const maxRefusal = 5 * time.Second
