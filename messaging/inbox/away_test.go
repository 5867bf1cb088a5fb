package inbox_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
	"github.com/tcckit/tcckit/messaging/inbox"
)

// farGround is a ground behind a proxy, and a second one past it.
func farGround(t *testing.T) (near, far *ground, proxy *testserver.Proxy) {
	t.Helper()
	cfg := tuned(testserver.MySQL(t))
	near = openGround(t, onMySQL, cfg.FormatDSN())
	proxy = testserver.NewProxy(t, cfg.Addr)
	through := cfg.Clone()
	through.Addr = proxy.Addr()
	return near, openGround(t, onMySQL, through.FormatDSN()), proxy
}

// commit is a COMMIT as MySQL's protocol has it, and no READ COMMITTED.
const commit = "\x03COMMIT"

// idOf is the id of the message during which something happens to a statement.
func idOf(statement string) string {
	return strings.NewReplacer(" ", "-", "\x03", "").Replace(statement)
}

// TestCut cuts the connection before and after each statement of a message that
// is handled: its answer may be lost, its work is done once.
func TestCut(t *testing.T) {
	t.Parallel()
	near, far, proxy := farGround(t)
	box := far.open(far.config(works))
	for _, statement := range []string{"START TRANSACTION", "INSERT INTO inbox", "INSERT INTO effect", commit} {
		for when, cut := range map[string]func(string) *testserver.Point{"before ": proxy.CutBefore, "after ": proxy.CutAfter} {
			id := idOf(when + statement)
			point := cut(statement)
			require.NoError(t, box.Handle(newMessage(id)), id)
			point.Wait()
			require.Equal(t, inbox.Done, near.row(id).State, id)
			require.Equal(t, 1, near.effects(id), id)
		}
	}
}

// TestCutWhileParking does so for one that fails first.
func TestCutWhileParking(t *testing.T) {
	t.Parallel()
	near, far, proxy := farGround(t)
	var healed atomic.Bool
	box := far.open(far.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
		if !healed.Load() {
			return nil, errors.New("not yet")
		}
		return effect(msg.UUID), nil
	}))
	cuts := map[string]func(string) *testserver.Point{"before": proxy.CutBefore, "after": proxy.CutAfter}
	for when, cut := range cuts {
		healed.Store(false)
		point := cut("INSERT INTO inbox")
		require.NoError(t, box.Handle(newMessage(when)), when)
		point.Wait()
		require.Equal(t, inbox.Parked, near.row(when).State)

		healed.Store(true)
		for _, statement := range []string{"SELECT message_id", "SET claimed_by", "SELECT tries", "SET state = 1", commit} {
			id := idOf(when + statement)
			insertParked(near, id)
			point := cut(statement)
			stop := run(t, box)
			point.Wait()
			eventually(t, id+" to be done", func() bool {
				near.elapse(inbox.Parked) // a claim whose answer was lost runs out
				return near.row(id).State == inbox.Done
			})
			stop()
			require.Equal(t, 1, near.effects(id), id)
		}
	}
}

// TestDatabaseAway shows that a message is left to the broker while nothing can
// be written down, and not counted.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	near, far, proxy := farGround(t)
	var fails atomic.Bool
	box := far.open(far.config(func(_ context.Context, msg *message.Message) (inbox.Work, error) {
		if fails.Load() {
			return nil, errors.New("a failure that nobody can write down")
		}
		return effect(msg.UUID), nil
	}))
	stop := run(t, box)
	defer stop()
	proxy.Refuse()
	for range 3 {
		require.ErrorContains(t, box.Handle(newMessage("a")), "left to the broker")
		fails.Store(true)
	}
	require.Zero(t, near.row("a"))
	proxy.Accept()
	fails.Store(false)
	require.NoError(t, box.Handle(newMessage("a")))
	require.Equal(t, 1, near.effects("a"))
	require.Equal(t, 1, near.row("a").Tries)
	insertParked(near, "b")
	near.awaitState("b", inbox.Done) // Run has survived it
}

// TestSilentDatabase shows that a try ends when the database answers no more,
// and that the message is then left to the broker.
func TestSilentDatabase(t *testing.T) {
	t.Parallel()
	near, far, proxy := farGround(t)
	cfg := far.config(works)
	cfg.Timeout = 200 * time.Millisecond
	box := far.open(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, statement := range []string{"INSERT INTO inbox", "INSERT INTO effect", commit} {
		point := proxy.HoldAfter(statement)
		msg := newMessage(idOf(statement))
		msg.SetContext(ctx)
		require.NoError(t, box.Handle(msg), "its connection is silent, others are not")
		point.Cut()
		stop := run(t, box)
		near.awaitState(msg.UUID, inbox.Done)
		stop()
		require.Equal(t, 1, near.effects(msg.UUID))
	}
}

// TestSilentLook shows that parked messages are tried when the database answers
// one of the looks for them no more.
func TestSilentLook(t *testing.T) {
	t.Parallel()
	near, far, proxy := farGround(t)
	box := far.open(far.config(works))
	point := proxy.HoldAfter("SELECT message_id, due_at")
	t.Cleanup(point.Cut)
	run(t, box)
	point.Wait()
	insertParked(near, "a")
	near.awaitState("a", inbox.Done)
}
