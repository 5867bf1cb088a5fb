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

// The values of commitOrRollback in what a broker is told.
const (
	toldUnknown  = "0"
	toldCommit   = "8"
	toldRollback = "12"
)

// fakeTopic is the topic of the fake broker.
const fakeTopic = "orders"

// newFake returns a broker that does what the test says, and a bus on it.
func newFake(t *testing.T) (*fakebroker.Server, *rocketmq.Bus) {
	t.Helper()
	s := fakebroker.Start(t, fakeTopic)
	return s, openBus(t, rocketmq.Config{NameServers: []string{s.Addr()}, SendTimeout: time.Second})
}

// told are the outcomes that the broker was told of, in order.
func told(s *fakebroker.Server) []string {
	all := []string{}
	for _, r := range s.Received(fakebroker.EndTransaction) {
		all = append(all, r.Fields["commitOrRollback"])
	}
	return all
}

// settled waits until the broker was told n times.
func settled(t *testing.T, s *fakebroker.Server, n int) []string {
	t.Helper()
	eventually(t, func() bool { return len(told(s)) >= n }, func() string { return "the broker was not told" })
	return told(s)
}

// visible waits until consumers could read n messages.
func visible(t *testing.T, s *fakebroker.Server, n int) {
	t.Helper()
	eventually(t, func() bool { return len(s.Messages(fakeTopic)) == n }, func() string { return "the messages that are visible are others" })
}

// check has the broker ask a group about its half messages, as soon as it knows
// a producer, and waits for the answers, which it returns.
func check(t *testing.T, s *fakebroker.Server, group string) []string {
	t.Helper()
	eventually(t, func() bool { return len(s.Clients(group)) > 0 }, func() string { return "the broker knows no producer" })
	before := len(told(s))
	n := s.Check(group)
	require.Positive(t, n)
	eventually(t, func() bool { return len(told(s)) >= before+n }, func() string { return "the broker got no answer" })
	return told(s)[before:]
}

func TestCheckBackIsAnsweredTheSameEachTime(t *testing.T) {
	t.Parallel()
	for _, kind := range ledgers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			s.On(fakebroker.EndTransaction, fakebroker.Silence) // all that it is told gets lost
			l := newLedger(t, kind)
			cfg := on(t, bus, l)
			cfg.Deadline = time.Second
			tx := newTransactions(t, cfg)
			committed := newMessage()
			require.NoError(t, tx.Send(t.Context(), fakeTopic, committed, book(committed.UUID)))
			require.Equal(t, []string{toldCommit}, settled(t, s, 1))
			for range 3 {
				require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
			}
			s.On(fakebroker.EndTransaction, nil)
			require.Equal(t, []string{toldCommit}, check(t, s, cfg.Group))
			visible(t, s, 1)

			s.On(fakebroker.EndTransaction, fakebroker.Silence)
			refused := newMessage()
			require.ErrorIs(t, tx.Send(t.Context(), fakeTopic, refused, func(context.Context, *sql.Tx) error { return sql.ErrNoRows }), sql.ErrNoRows)
			settled(t, s, 6)
			require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group), "before the deadline")
			eventually(t, func() bool { return slices.Equal(check(t, s, cfg.Group), []string{toldRollback}) }, func() string { return "not rolled back" })
			require.Equal(t, []rocketmq.TransactionState{rocketmq.TransactionRolledBack}, l.log(t, refused.UUID))
			require.Equal(t, []string{toldRollback}, check(t, s, cfg.Group))
		})
	}
}

// A business that has written its outcome and not committed yet is not undone
// behind its back, nor does the answering of other questions wait for it.
func TestCheckBackDoesNotWaitForABusinessBeforeItsCommit(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"mysql", "mariadb"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, bus := newFake(t)
			l := newLedger(t, kind)
			cfg := on(t, bus, l)
			cfg.Deadline = time.Millisecond
			tx := newTransactions(t, cfg)
			msg := newMessage()
			require.NoError(t, tx.Do(t.Context(), fakeTopic, msg, func(_ context.Context, record func(context.Context, messaging.Tx) error) error {
				ctx := t.Context()
				own, err := l.db.BeginTx(ctx, nil)
				require.NoError(t, err)
				require.NoError(t, book(msg.UUID)(ctx, own))
				require.NoError(t, record(ctx, own))
				for range 20 {
					require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group))
				}
				return own.Commit()
			}))
			settled(t, s, 21)
			visible(t, s, 1)
			require.Equal(t, []string{msg.UUID}, l.effects(t))
		})
	}
}

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

// Two services that share a group would answer for each other from databases
// that know nothing of it.
func TestCheckBackOfAnotherDatabaseIsNotAnswered(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	mine, other := newLedger(t, "sqlite"), newLedger(t, "sqlite")
	cfg := on(t, bus, mine)
	tx, err := rocketmq.NewTransactions(t.Context(), cfg)
	require.NoError(t, err)
	msg := newMessage()
	require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, func(context.Context, *sql.Tx) error { return nil }))
	settled(t, s, 1)
	require.NoError(t, tx.Close())

	second := cfg
	second.DB, second.Deadline = other.db, time.Millisecond
	eventually(t, func() bool { return len(s.Clients(cfg.Group)) == 0 }, func() string { return "still connected" })
	newTransactions(t, second)
	require.Equal(t, []string{toldUnknown}, check(t, s, cfg.Group))
	require.Empty(t, other.log(t, msg.UUID))
}

// Objects of the client share one by default, and questions reach only the first.
func TestCheckBackReachesEachGroup(t *testing.T) {
	t.Parallel()
	s, bus := newFake(t)
	s.On(fakebroker.EndTransaction, fakebroker.Silence)
	var groups []string
	for range 3 {
		l := newLedger(t, "sqlite")
		cfg := on(t, bus, l)
		tx := newTransactions(t, cfg)
		msg := newMessage()
		require.NoError(t, tx.Send(t.Context(), fakeTopic, msg, book(msg.UUID)))
		settled(t, s, len(groups)+1)
		groups = append(groups, cfg.Group)
	}
	for _, g := range groups {
		require.Equal(t, []string{toldCommit}, check(t, s, g))
	}
}
