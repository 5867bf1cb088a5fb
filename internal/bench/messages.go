package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/tcckit/tcckit/barrier/mysql"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/inbox"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/messaging/rocketmq"
)

// MessagesConfig says how long to measure messages, and on what.
type MessagesConfig struct {
	// MySQL is the DSN of a server, for a user that may create databases; the
	// one that is made is dropped at the end.
	MySQL string
	// RocketMQ is host:port of a name server. The topics that are made stay
	// there.
	RocketMQ string
	// Duration is that of one round, Rounds their number for each figure.
	Duration time.Duration
	Rounds   int
	// Messages is how many messages wait, in an outbox or at the broker, when a
	// round begins that measures how fast they become fewer.
	Messages int
	// Out is where progress and the report are printed.
	Out io.Writer
}

func (c *MessagesConfig) validate() error {
	if c.MySQL == "" || c.RocketMQ == "" {
		return errors.New("bench: a MySQL server and a RocketMQ are needed")
	}
	if c.Duration <= 0 || c.Rounds < 1 || c.Messages < 1 {
		return errors.New("bench: duration, rounds and messages must be more than 0")
	}
	return nil
}

// Messages measures what messages cost, on one MySQL and one RocketMQ in one
// run, and returns the figures by their names:
//
//   - relay_speedup: messages a second that a relay publishes of a full outbox,
//     relay_per_s, over those that a loop does which sends and marks one row after
//     the other; relay_over_sends: over sends one after the other of messages in
//     memory, which is a bound for any such loop;
//   - end_to_end_p50_ms, end_to_end_p99_ms: from the answer to the commit of a
//     message to that of its consumer's, at 100 messages a second;
//   - inbox_overhead: the median time of a lone message whose work is one UPDATE,
//     over that of the same work without the inbox, in a transaction of its own;
//     inbox_overhead_16: the same for the time that 16 handlers take a message;
//   - consumed_per_s_16: such messages a second from the broker, with 16
//     handlers;
//   - order_announce_outbox_ms, order_announce_half_message_ms: the median of a
//     lone sender's transaction, one UPDATE, that writes a message to the outbox,
//     or for which a half message is sent; order_announce_nothing_ms: without one.
func Messages(ctx context.Context, cfg MessagesConfig) (figures map[string]float64, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := describeMySQL(ctx, cfg.MySQL, cfg.Out); err != nil {
		return nil, err
	}
	m, closeAll, err := newMessagesRun(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	for _, step := range []func(context.Context) error{m.relay, m.endToEnd, m.inboxOverhead, m.consumed, m.announcements} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return m.figures, nil
}

// messagesRun is one run of Messages.
type messagesRun struct {
	cfg     MessagesConfig
	store   *mysql.Store // of whose pool all use, as the services do
	outbox  *outbox.Outbox
	bus     *rocketmq.Bus
	sender  message.Publisher
	log     *slog.Logger
	figures map[string]float64
}

func newMessagesRun(ctx context.Context, cfg MessagesConfig) (_ *messagesRun, closeAll func() error, err error) {
	m := &messagesRun{cfg: cfg, figures: make(map[string]float64), log: slog.New(slog.NewTextHandler(cfg.Out, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for i := range closers {
			errs = append(errs, closers[len(closers)-1-i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bench: %w", err), closeAll())
		}
	}()
	ground, drop, err := newGround(ctx, cfg.MySQL)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, drop)
	if m.store, err = mysql.Open(ctx, ground, mysql.Options{Logger: m.log}); err != nil {
		return nil, nil, err
	}
	closers = append(closers, m.store.Close)
	for _, query := range []string{outbox.Schema(messaging.MySQL), inbox.Schema(messaging.MySQL)} {
		if _, err := m.store.DB().ExecContext(ctx, query); err != nil {
			return nil, nil, err
		}
	}
	if m.outbox, err = outbox.New(ctx, outbox.Config{DB: m.store.DB(), Dialect: messaging.MySQL, Logger: m.log}); err != nil {
		return nil, nil, err
	}
	if m.bus, err = rocketmq.Open(ctx, rocketmq.Config{NameServers: []string{cfg.RocketMQ}, Logger: m.log}); err != nil {
		return nil, nil, err
	}
	closers = append(closers, m.bus.Close)
	m.sender, err = m.bus.Publisher(rocketmq.PublisherConfig{})
	return m, closeAll, err
}
