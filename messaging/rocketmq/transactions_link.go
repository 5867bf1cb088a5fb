package rocketmq

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

// Links are connections to all brokers, over which these ask about half messages
// of the group. A broker asks any member whose heartbeat it has: so the
// successor of a process that died is asked as soon as it is there, also if it
// never sends anything itself.

const (
	// linkInterval is how often there is a heartbeat, and a look for brokers that
	// have joined. A broker forgets a member after two minutes.
	linkInterval = 10 * time.Second
	// relinkInterval is how soon a link that broke is made anew.
	relinkInterval = 500 * time.Millisecond
	// linkTimeout bounds what one broker is given to answer.
	linkTimeout = 3 * time.Second
)

// keepLinks closes linked after the first round, which may have failed.
func (t *Transactions) keepLinks(ctx context.Context, linked chan<- struct{}) {
	broken := make(chan struct{}, 1)
	for first := true; ; first = false {
		pause := linkInterval
		if err := t.linkAll(ctx, broken); err != nil {
			pause = relinkInterval
			if ctx.Err() == nil {
				t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "rocketmq: not all brokers can ask about half messages just now",
					slog.String("group", t.cfg.Group), slog.Any("error", err))
			}
		}
		if first {
			close(linked)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-broken:
			timer.Reset(relinkInterval)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// linkAll sends a heartbeat to each broker, over a new connection where there is
// none.
func (t *Transactions) linkAll(ctx context.Context, broken chan<- struct{}) error {
	var brokers map[string]string
	err := within(ctx, openTimeout, func(ctx context.Context) (err error) {
		brokers, err = t.bus.brokers(ctx)
		return err
	})
	t.mu.Lock()
	links := maps.Clone(t.links)
	t.mu.Unlock()
	// Brokers that the name server does not know just now keep their link.
	for name, addr := range brokers {
		if conn := links[name]; conn != nil && conn.Addr() != addr {
			_ = conn.Close() // it has moved; Serve takes it out
			delete(links, name)
		}
		if links[name] == nil {
			conn, linkErr := t.link(ctx, name, addr, broken)
			if linkErr != nil {
				err = linkErr
				continue
			}
			links[name] = conn
		}
	}
	for name, conn := range links {
		if beatErr := within(ctx, linkTimeout, func(ctx context.Context) error { return conn.Heartbeat(ctx, t.id, t.cfg.Group) }); beatErr != nil {
			_ = conn.Close()
			err = refusedBy(name, beatErr)
		}
	}
	return err
}

// link connects to a broker, and listens to what it asks.
func (t *Transactions) link(ctx context.Context, name, addr string, broken chan<- struct{}) (*remoting.Conn, error) {
	var conn *remoting.Conn
	err := within(ctx, linkTimeout, func(ctx context.Context) (err error) {
		conn, err = t.bus.admin.Dial(ctx, addr)
		return err
	})
	if err != nil {
		return nil, refusedBy(name, err)
	}
	t.mu.Lock()
	t.links[name] = conn
	t.mu.Unlock()
	t.house.Go(func() {
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		err := conn.Serve(func(c remoting.Check) { t.asked(conn, c) })
		_ = conn.Close()
		t.mu.Lock()
		if t.links[name] == conn {
			delete(t.links, name)
		}
		t.mu.Unlock()
		if ctx.Err() == nil {
			t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "rocketmq: the connection over which a broker asks about half messages broke",
				slog.String("group", t.cfg.Group), slog.String("broker", name), slog.Any("error", err))
			select {
			case broken <- struct{}{}:
			default: // it is known
			}
		}
	})
	return conn, nil
}

// tell tells a broker the outcome of a half message. If that does not arrive,
// the broker will ask.
func (t *Transactions) tell(ctx context.Context, h half, o remoting.Outcome) {
	t.mu.Lock()
	conn := t.links[h.broker]
	t.mu.Unlock()
	if conn == nil {
		return
	}
	if err := conn.EndTransaction(t.cfg.Group, h.Check, false, o); err != nil {
		t.bus.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "rocketmq: the broker was not told the outcome of a transaction, and will ask",
			slog.String("group", t.cfg.Group), slog.String("broker", h.broker), slog.Any("error", err))
	}
}
