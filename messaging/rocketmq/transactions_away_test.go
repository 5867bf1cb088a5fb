package rocketmq_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/fakebroker"
)

// panicky is a database that makes whoever asks it panic.
type panicky struct {
	driver.Connector
	on atomic.Bool
}

func (p *panicky) Connect(ctx context.Context) (driver.Conn, error) {
	if p.on.Load() {
		panic("no database")
	}
	return p.Connector.Connect(ctx)
}

// The client's goroutine that asks the listener ends at the first panic.
func TestCheckBackThatPanicsIsNotTheLast(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	l := newLedger(t, "mysql")
	parsed, err := mysql.ParseDSN(l.source)
	require.NoError(t, err)
	connector, err := mysql.NewConnector(parsed)
	require.NoError(t, err)
	broken := &panicky{Connector: connector}
	cfg := on(t, bus, l)
	cfg.DB = sql.OpenDB(broken)
	cfg.DB.SetMaxIdleConns(-1)
	t.Cleanup(func() { require.NoError(t, cfg.DB.Close()) })
	tx := newTransactions(t, cfg)
	msg := newMessage()
	require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, book(msg.UUID)))
	settled(t, s, 1)

	broken.on.Store(true)
	require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group))
	broken.on.Store(false)
	require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
}

// throughProxy is a ledger whose transactions come through a proxy.
func throughProxy(t *testing.T, l *ledger) (*sql.DB, *testserver.Proxy) {
	t.Helper()
	cfg, err := mysql.ParseDSN(l.source)
	require.NoError(t, err)
	p := testserver.NewProxy(t, cfg.Addr)
	cfg.Addr = p.Addr()
	return openLedger(t, l.dialect, dsn(cfg)), p
}

func TestCheckBackWaitsForADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	l := newLedger(t, "mysql")
	cfg := on(t, bus, l)
	cfg.Deadline = time.Millisecond
	var p *testserver.Proxy
	cfg.DB, p = throughProxy(t, l)
	tx := newTransactions(t, cfg)
	msg := newMessage()
	require.NoError(t, tx.Do(t.Context(), fakeTopic, msg, func(_ context.Context, record func(context.Context, messaging.Tx) error) error {
		own, err := l.db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, record(t.Context(), own))
		return own.Commit()
	}))
	settled(t, s, 1)
	p.Refuse()
	require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group))
	require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group))
	p.Accept()
	eventually(t, func() bool { return slices.Equal(check(t, s, cfg.Group), []string{toldCommit}) }, func() string { return "no answer of a database that is back" })
}

func TestAnswerToCommitGetsLost(t *testing.T) {
	t.Parallel()
	const commit = "\x03COMMIT"
	for name, c := range map[string]struct {
		cut       func(*testserver.Proxy, string) *testserver.Point
		stays     bool // the database is away afterwards
		is        error
		outcome   string
		committed bool
	}{
		"committed":            {(*testserver.Proxy).CutAfter, false, nil, toldCommit, true},
		"not committed":        {(*testserver.Proxy).CutBefore, false, rocketmq.ErrRolledBack, toldRollback, false},
		"committed, and away":  {(*testserver.Proxy).CutAfter, true, rocketmq.ErrOutcomeUnknown, toldUnknown, true},
		"not committed, away ": {(*testserver.Proxy).CutBefore, true, rocketmq.ErrOutcomeUnknown, toldUnknown, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			l := newLedger(t, "mysql")
			cfg := on(t, bus, l)
			var p *testserver.Proxy
			cfg.DB, p = throughProxy(t, l)
			cfg.Deadline = 2 * time.Second
			tx := newTransactions(t, cfg)
			msg := newMessage()
			point := c.cut(p, commit)
			if c.stays {
				go func() {
					<-point.Reached()
					p.Refuse()
				}()
			}
			err := tx.Send(t.Context(), fakeTopic, msg, book(msg.UUID))
			point.Wait()
			if c.is == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.is)
			}
			require.Equal(t, []string{c.outcome}, settled(t, s, 1))
			p.Accept()
			if c.outcome == toldUnknown {
				want := toldCommit
				if !c.committed {
					want = toldRollback
				}
				eventually(t, func() bool { return slices.Equal(check(t, s, cfg.Group), []string{want}) }, func() string { return "the broker was not told" })
			}
			if c.committed {
				require.Equal(t, []string{msg.UUID}, l.effects(t))
				visible(t, s, 1)
			} else {
				require.Empty(t, l.effects(t))
				require.Empty(t, s.Messages(fakeTopic))
			}
		})
	}
}
