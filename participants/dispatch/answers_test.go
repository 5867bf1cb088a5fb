package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/participants/dispatch"
)

func sqlite(t *testing.T) *database.DB {
	t.Helper()
	dsn := databasetest.DSN(t, databasetest.SQLite)
	databasetest.Migrate(t, dsn, dispatch.Migrations())
	return databasetest.Open(t, dsn, dispatch.Migrations())
}

// handle has the service's handler read a message, and returns its error.
func (b *bundle) handle(ctx context.Context, e *orderpb.OrderConfirmed) error {
	b.t.Helper()
	work, err := b.service.Consumers()[0].Handler(ctx, encode(b.t, e))
	require.Equal(b.t, err == nil, work != nil)
	return err
}

// What becomes of a message for each answer of the order service.
func TestAnswers(t *testing.T) {
	t.Parallel()
	counted := error(nil)
	answer := func(code codes.Code) func(*orders) {
		return func(o *orders) { o.get = func(context.Context) error { return status.Error(code, "because") } }
	}
	restore := func(code codes.Code) func(*orders) {
		return func(o *orders) {
			o.restores = func(*orderpb.OrderConfirmed) error { return rpc.Error(code, "REASON", "because", nil) }
		}
	}
	keep := func(change func(*orderpb.Order)) func(*orders) {
		return func(o *orders) {
			order := orderOf(confirmed("o-1"))
			change(order)
			o.kept["o-1"] = order
		}
	}
	for name, c := range map[string]struct {
		orders func(*orders)
		want   error
		text   string
	}{
		"away":                 {answer(codes.Unavailable), messaging.ErrUnavailable, "ask for order o-1"},
		"overloaded":           {answer(codes.ResourceExhausted), messaging.ErrUnavailable, "ask for order o-1"},
		"too slow":             {answer(codes.DeadlineExceeded), messaging.ErrUnavailable, "ask for order o-1"},
		"a bug":                {answer(codes.Internal), counted, "ask for order o-1"},
		"another service":      {answer(codes.Unimplemented), counted, "ask for order o-1"},
		"not allowed":          {answer(codes.PermissionDenied), counted, "ask for order o-1"},
		"cancelled":            {keep(func(o *orderpb.Order) { o.Status, o.Reason = cancelled, "ABORTED" }), messaging.ErrPermanent, "is cancelled (ABORTED)"},
		"pending":              {keep(func(o *orderpb.Order) { o.Status = pending }), messaging.ErrUnavailable, "not confirmed yet"},
		"a status of tomorrow": {keep(func(o *orderpb.Order) { o.Status = 77 }), counted, "the status 77"},
		"another order":        {keep(func(o *orderpb.Order) { o.OrderId = "o-2" }), counted, `gave order "o-2"`},
		"an order of nothing":  {keep(func(o *orderpb.Order) { o.Lines = nil }), counted, "with 0 lines"},
		"witnesses away":       {restore(codes.Unavailable), messaging.ErrUnavailable, "restore order o-1"},
		"not witnessed":        {restore(codes.FailedPrecondition), messaging.ErrPermanent, "order o-1 is not there, and is not restored: REASON: because"},
		"restoring is a bug":   {restore(codes.Internal), counted, "restore order o-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, sqlite(t))
			b.orders.with(func() { c.orders(b.orders) })
			err := b.handle(t.Context(), confirmed("o-1"))
			require.ErrorContains(t, err, c.text)
			for _, mark := range []error{messaging.ErrPermanent, messaging.ErrUnavailable} {
				if errors.Is(c.want, mark) {
					require.ErrorIs(t, err, mark)
				} else {
					require.NotErrorIs(t, err, mark)
				}
			}
		})
	}
}

// An order is restored, and is not there yet where it is read.
func TestARestoredOrderMayBeReadLate(t *testing.T) {
	t.Parallel()
	b := serve(t, sqlite(t))
	b.orders.with(func() {
		b.orders.restores = func(*orderpb.OrderConfirmed) error { return nil }
		b.orders.get = func(context.Context) error {
			if b.orders.asked > 2 {
				return nil
			}
			return rpc.Error(codes.NotFound, "UNKNOWN_ORDER", "there is no such order", nil)
		}
	})
	require.ErrorIs(t, b.handle(t.Context(), confirmed("o-1")), messaging.ErrUnavailable)
	require.NoError(t, b.handle(t.Context(), confirmed("o-1")))
}

func TestAnOrderServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := serve(t, sqlite(t))
	b.orders.stop()
	require.ErrorIs(t, b.handle(t.Context(), confirmed("o-1")), messaging.ErrUnavailable)
}

// An order service that hangs holds a message up for no longer than Timeout.
func TestAnOrderServiceThatHangs(t *testing.T) {
	t.Parallel()
	b := serve(t, sqlite(t))
	b.orders.with(func() { b.orders.get = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() } })
	var err error
	b.service, err = dispatch.New(dispatch.Config{DB: b.db, Order: rpctest.Dial(t, b.orders.addr), Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.ErrorIs(t, b.handle(ctx, confirmed("o-1")), messaging.ErrUnavailable)
	require.NoError(t, ctx.Err(), "it was the test that ended it")
}

func TestAnIDThatIsNone(t *testing.T) {
	t.Parallel()
	b := serve(t, sqlite(t))
	for _, id := range []string{"", "with a space", "äpfel"} {
		e := confirmed("o-1")
		e.OrderId = id
		require.ErrorIs(t, b.handle(t.Context(), e), messaging.ErrPermanent)
	}
	b.orders.with(func() { require.Zero(t, b.orders.asked) })
}
