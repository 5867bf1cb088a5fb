package rocketmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

// ErrClosed is returned by what was closed. It is [messaging.ErrUnavailable]: no
// message is to blame for it.
var ErrClosed = messaging.Unavailable(errors.New("rocketmq: closed"))

// openTimeout bounds how long [Open] waits for a name server.
const openTimeout = 10 * time.Second

// Bus is where messages are published and subscribed to. It is safe for
// concurrent use.
//
// A bus without name servers is within the process, for demonstrations and
// tests: a message is delivered to each group that is subscribed at this moment,
// and Publish waits until one member of each has acknowledged it. It keeps
// nothing: where nobody is subscribed, Publish fails with
// [messaging.ErrUnavailable], so that an outbox keeps the message.
type Bus struct {
	cfg       Config
	telemetry *telemetry
	resolver  *resolver
	admin     remoting.Client
	local     *local // nil with name servers

	mu     sync.Mutex
	closed bool
	parts  map[io.Closer]struct{} // publishers and subscribers
	live   map[subscribed]int     // how many subscriptions there are
}

// Open verifies that a name server answers, and returns the bus. The error of
// one that does not is [messaging.ErrUnavailable].
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("rocketmq: %w", err)
	}
	b := &Bus{cfg: cfg, parts: map[io.Closer]struct{}{}, live: map[subscribed]int{}}
	if len(cfg.NameServers) > 0 {
		b.resolver = newResolver(cfg.NameServers, cfg.Logger)
		b.admin = remoting.Client{AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey}
		takeOver(cfg.Logger)
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		if _, err := b.brokers(ctx); err != nil {
			return nil, fmt.Errorf("rocketmq: %w", err)
		}
	} else {
		b.local = newLocal()
	}
	var err error
	if b.telemetry, err = newTelemetry(b); err != nil {
		return nil, fmt.Errorf("rocketmq: %w", err)
	}
	return b, nil
}

// InProcess says whether the bus has no RocketMQ behind it.
func (b *Bus) InProcess() bool { return b.local != nil }

// Close closes all publishers and subscribers of the bus. It may be called more
// than once.
func (b *Bus) Close() error {
	b.mu.Lock()
	first := !b.closed
	b.closed = true
	parts := b.parts
	b.parts = nil
	b.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, 0, len(parts))
	var mu sync.Mutex
	for p := range parts {
		wg.Go(func() {
			if err := p.Close(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	if first {
		errs = append(errs, b.telemetry.close())
	}
	return errors.Join(errs...)
}

// own has the bus close p when it is closed.
func (b *Bus) own(p io.Closer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	b.parts[p] = struct{}{}
	return nil
}

// disown forgets p, which has been closed.
func (b *Bus) disown(p io.Closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.parts, p)
}

// brokers asks the name servers, one after another, which brokers there are.
func (b *Bus) brokers(ctx context.Context) (map[string]string, error) {
	var addrs map[string]string
	err := b.ask(ctx, func(ctx context.Context, nameServer string) (err error) {
		addrs, err = b.admin.Brokers(ctx, nameServer)
		return err
	})
	return addrs, err
}

// route asks the name servers, one after another, where a topic lies.
func (b *Bus) route(ctx context.Context, topic string) (remoting.Route, error) {
	var r remoting.Route
	err := b.ask(ctx, func(ctx context.Context, nameServer string) (err error) {
		r, err = b.admin.Route(ctx, nameServer, topic)
		return err
	})
	return r, err
}

// askTimeout bounds what one name server is given to answer, so that there is
// time for the others.
const askTimeout = 3 * time.Second

func (b *Bus) ask(ctx context.Context, question func(ctx context.Context, nameServer string) error) error {
	addrs, err := b.resolver.lookup(ctx)
	if err != nil {
		return messaging.Unavailable(err)
	}
	var errs []error
	for _, addr := range addrs {
		err := within(ctx, askTimeout, func(ctx context.Context) error { return question(ctx, addr) })
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("name server %s: %w", addr, err))
	}
	return messaging.Unavailable(errors.Join(errs...))
}

func within(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// instance names one object of the client. Two that have the same name, as all
// of a process have by default, share connections and state: a check-back then
// reaches the wrong one, and one that is shut down takes the other with it.
func instance(what string) string {
	return fmt.Sprintf("%s-%d-%s", what, os.Getpid(), rand.Text())
}
