package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/messaging"
)

// RelayConfig configures [NewRelay]. Outbox and Publisher are required, for the
// rest 0 means the default.
type RelayConfig struct {
	// Outbox has the messages.
	Outbox *Outbox
	// Publisher is the broker. When its Publish returns nil the broker must
	// have taken the messages, durably: a publisher that only queues them loses
	// what it queued in a crash. It may be called by several goroutines.
	//
	// What its errors wrap decides: messaging.ErrUnavailable has the topic tried
	// again soon, and is not held against the messages; messaging.ErrPermanent
	// makes the message Failed at once; any other error counts as a try.
	Publisher message.Publisher

	// Workers is how many goroutines claim and publish. Default 2, for while one
	// waits for the broker the other one is at the database; 1 on SQLite, where
	// each would keep those who write from their turn.
	Workers int
	// Batch is the most messages that are claimed and published together.
	// Default 256.
	Batch int
	// Lease is how long a claim holds, from 1 s on. After it the messages of a
	// relay that has died are another one's, so it must exceed the time that a
	// batch takes; Publish gets three quarters of it, by the messages' contexts.
	// Default 30 s.
	Lease time.Duration
	// Poll is how often a relay looks for messages that it was not woken for:
	// those of other processes. Default 1 s.
	Poll time.Duration
	// MaxTries is how often a message is tried before it is Failed, and how
	// often one is sent whose result does not come. Default 16.
	MaxTries int
	// MinBackoff and MaxBackoff are the delays after the first failed try of a
	// message and at most; they double in between. Defaults 100 ms and 1 minute.
	MinBackoff, MaxBackoff time.Duration
	// ResultTimeout is how long to wait for a result before a message is sent
	// again; it doubles with each sending, up to an hour. Default 1 minute.
	ResultTimeout time.Duration
	// Retention is how long messages are kept once their receiver has answered,
	// success or failure, or they are Sent and expect no result. What a relay has
	// given up stays. Default 7 days.
	Retention time.Duration
	// SweepInterval is the time between two sweeps for those, give or take a
	// tenth. Default 1 hour.
	SweepInterval time.Duration
	// StatsInterval is the time between two measurements of the table, give or
	// take a tenth. Default 15 s.
	StatsInterval time.Duration
}

func (c *RelayConfig) setDefaults() error {
	switch {
	case c.Outbox == nil:
		return errors.New("no Outbox is given")
	case c.Publisher == nil:
		return errors.New("no Publisher is given")
	}
	workers := 2
	if c.Outbox.cfg.Dialect == messaging.SQLite {
		workers = 1
	}
	for _, n := range [...]struct {
		what   string
		value  *int
		normal int
		most   int
	}{
		{"workers", &c.Workers, workers, 64},
		{"messages in a batch", &c.Batch, 256, 4096},
		{"tries", &c.MaxTries, 16, 1 << 20},
	} {
		if *n.value == 0 {
			*n.value = n.normal
		}
		if *n.value < 1 || *n.value > n.most {
			return fmt.Errorf("%d %s: want 1 to %d", *n.value, n.what, n.most)
		}
	}
	for _, d := range [...]struct {
		what   string
		value  *time.Duration
		normal time.Duration
		least  time.Duration
	}{
		{"lease", &c.Lease, 30 * time.Second, time.Second},
		{"poll interval", &c.Poll, time.Second, time.Millisecond},
		{"least backoff", &c.MinBackoff, 100 * time.Millisecond, time.Millisecond},
		{"most backoff", &c.MaxBackoff, max(time.Minute, c.MinBackoff), c.MinBackoff},
		{"result timeout", &c.ResultTimeout, time.Minute, time.Millisecond},
		{"retention", &c.Retention, 7 * 24 * time.Hour, time.Millisecond},
		{"sweep interval", &c.SweepInterval, time.Hour, time.Millisecond},
		{"stats interval", &c.StatsInterval, 15 * time.Second, time.Millisecond},
	} {
		if *d.value == 0 {
			*d.value = d.normal
		}
		if *d.value < d.least {
			return fmt.Errorf("a %s of %s: want at least %s", d.what, *d.value, d.least)
		}
	}
	return nil
}

// maxHung is how many calls of a publisher may be under way at once beyond one
// for each worker: those that did not return within their lease and that nobody
// waits for any more.
const maxHung = 8

// Relay publishes the messages of an outbox. Several may run on one database,
// in one or more processes.
//
// Each message is published at least once: a relay that dies between the
// publishing and its note of it leaves the message to be published again, with
// the same id, by which an inbox knows it.
type Relay struct {
	cfg    RelayConfig
	outbox *Outbox
	wake   chan struct{}
	calls  chan struct{} // has one entry for each call under way
	pauses pauses
}

// NewRelay returns a relay. Its error says what is wrong with cfg.
func NewRelay(cfg RelayConfig) (*Relay, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("outbox: relay: %w", err)
	}
	return &Relay{
		cfg:    cfg,
		outbox: cfg.Outbox,
		wake:   make(chan struct{}, cfg.Workers),
		calls:  make(chan struct{}, cfg.Workers+maxHung),
	}, nil
}

// Run publishes until ctx ends. It then waits for the calls of the publisher
// that are under way, at most for their lease, and gives back what else it has
// claimed.
func (r *Relay) Run(ctx context.Context) {
	r.outbox.add(r)
	defer r.outbox.remove(r)
	var tasks sync.WaitGroup
	for range r.cfg.Workers {
		w := &worker{Relay: r}
		tasks.Go(func() { w.run(ctx) })
	}
	tasks.Go(func() { r.every(ctx, r.cfg.StatsInterval, "measuring", r.measure) })
	tasks.Go(func() { r.every(ctx, r.cfg.SweepInterval, "sweeping", r.sweep) })
	tasks.Wait()
}

// wakeUp has one worker look. It does not block.
func (r *Relay) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
