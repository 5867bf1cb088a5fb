package order

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/database/databasetest"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/tcc"
)

const (
	long = time.Hour
	over = -time.Second // a lease that has passed
)

var k = key{account: "a", request: "r"}

func body() []byte { return database.Fingerprint("body") }

// bundle is the service without its peers: its tables and its branch.
type bundle struct {
	*Service
	t *testing.T
}

func eachStore(t *testing.T, test func(b *bundle)) {
	t.Helper()
	databasetest.Each(t, Migrations(), func(t *testing.T, db *database.DB) {
		s := &Service{cfg: Config{DB: db}, store: &store{db: db}, orders: &orders{db: db}, news: newNews()}
		s.cfg.setDefaults()
		test(&bundle{Service: s, t: t})
	})
}

func (b *bundle) gid() string {
	b.t.Helper()
	gid, err := newGID()
	require.NoError(b.t, err)
	return gid
}

func (b *bundle) find() request {
	b.t.Helper()
	r, found, err := b.store.find(b.t.Context(), k)
	require.NoError(b.t, err)
	require.True(b.t, found)
	return r
}

// insert makes a request with its first attempt.
func (b *bundle) insert(lease time.Duration) (gid string) {
	b.t.Helper()
	gid = b.gid()
	claimed, err := b.store.insert(b.t.Context(), k, body(), gid, lease)
	require.NoError(b.t, err)
	require.True(b.t, claimed)
	return gid
}

func (b *bundle) takeOver(old string, owner bool) (gid string, taken bool) {
	b.t.Helper()
	gid = b.gid()
	taken, err := b.store.takeOver(b.t.Context(), k, old, gid, over, owner)
	require.NoError(b.t, err)
	return gid, taken
}

// in is a context for a delivery of the order's branch.
func (b *bundle) in(gid string, phase tcc.Phase) context.Context {
	return tcc.NewContext(b.t.Context(), tcc.Branch{GID: gid, ID: branchOrder, Phase: phase, Method: "/x/y"})
}

func (b *bundle) try(gid string) error {
	_, err := b.TryCreate(b.in(gid, tcc.Try), &pb.CreateRequest{
		RequestId: k.request, AccountId: k.account, Total: money(5, "EUR"),
		Lines: []*pb.OrderLine{{Sku: "x", Quantity: 2, Price: money(2, "EUR")}, {Sku: "y", Quantity: 1, Price: money(1, "EUR")}},
	})
	return err
}

func (b *bundle) confirm(gid string) {
	b.t.Helper()
	_, err := b.ConfirmCreate(b.in(gid, tcc.Confirm), nil)
	require.NoError(b.t, err)
}

func (b *bundle) cancel(gid string) {
	b.t.Helper()
	_, err := b.CancelCreate(b.in(gid, tcc.Cancel), nil)
	require.NoError(b.t, err)
}

func (b *bundle) requireSuperseded(err error) {
	b.t.Helper()
	var no *tcc.Rejection
	require.ErrorAs(b.t, err, &no)
	require.Equal(b.t, reasonSuperseded, no.Reason)
}

func TestARequestIsInsertedOnce(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		_, found, err := b.store.find(b.t.Context(), k)
		require.NoError(b.t, err)
		require.False(b.t, found)
		var all sync.WaitGroup
		var claims atomic.Int64
		for range 16 {
			gid := b.gid()
			all.Go(func() {
				claimed, err := b.store.insert(b.t.Context(), k, body(), gid, long)
				if err != nil {
					b.t.Errorf("%v", err)
				}
				if claimed {
					claims.Add(1)
				}
			})
		}
		all.Wait()
		require.Equal(b.t, int64(1), claims.Load())
		r := b.find()
		require.Equal(b.t, body(), r.body)
		require.True(b.t, r.leased)
		require.False(b.t, r.tried)
		_, found, err = b.store.find(b.t.Context(), key{account: "A", request: "r"})
		require.NoError(b.t, err)
		require.False(b.t, found, "ids are told apart by case")
	})
}

func TestLease(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		gid := b.insert(long)
		_, taken := b.takeOver(gid, false)
		require.False(b.t, taken, "leased")
		_, taken = b.takeOver("another", true)
		require.False(b.t, taken, "not the current attempt")
		require.NoError(b.t, b.store.release(b.t.Context(), k, "another"))
		require.True(b.t, b.find().leased)
		require.NoError(b.t, b.store.release(b.t.Context(), k, gid))
		require.False(b.t, b.find().leased)
		next, taken := b.takeOver(gid, false)
		require.True(b.t, taken)
		require.Equal(b.t, next, b.find().gid)
		_, taken = b.takeOver(next, true)
		require.True(b.t, taken)
	})
}

// An attempt that was taken over can never make an order.
func TestTakeOverFencesTheAttempt(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		old := b.insert(over)
		next, taken := b.takeOver(old, false)
		require.True(b.t, taken)
		b.requireSuperseded(b.try(old))
		require.NoError(b.t, b.try(next))
		r := b.find()
		require.True(b.t, r.tried)
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_PENDING, r.order)
		b.cancel(old)
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_PENDING, b.find().order)
	})
}

// An attempt with an order can be taken over only when that is cancelled.
func TestAnOrderFencesTakingOver(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		gid := b.insert(over)
		require.NoError(b.t, b.try(gid))
		require.NoError(b.t, b.try(gid), "a duplicate")
		_, taken := b.takeOver(gid, true)
		require.False(b.t, taken)
		b.cancel(gid)
		next, taken := b.takeOver(gid, false)
		require.True(b.t, taken)
		require.NoError(b.t, b.try(next))
		b.confirm(next)
		_, taken = b.takeOver(next, true)
		require.False(b.t, taken)
		require.Equal(b.t, confirmed, judge(b.find(), body()))
	})
}

// TryCreate and a take-over at once: one of them wins.
func TestTryAgainstTakeOver(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		ctx := b.t.Context()
		for i := range 50 {
			k := key{account: "a", request: "r" + string(rune('0'+i))}
			old, next := b.gid(), b.gid()
			_, err := b.store.insert(ctx, k, body(), old, over)
			require.NoError(b.t, err)
			var tryErr, takeErr error
			var taken bool
			var both sync.WaitGroup
			both.Go(func() {
				_, tryErr = b.TryCreate(b.in(old, tcc.Try), &pb.CreateRequest{
					RequestId: k.request, AccountId: k.account, Total: money(2, "EUR"),
					Lines: []*pb.OrderLine{{Sku: "x", Quantity: 1, Price: money(2, "EUR")}},
				})
			})
			both.Go(func() { taken, takeErr = b.store.takeOver(ctx, k, old, next, over, false) })
			both.Wait()
			require.NoError(b.t, takeErr)
			if taken {
				b.requireSuperseded(tryErr)
			} else {
				require.NoError(b.t, tryErr)
			}
			status, err := b.orders.status(ctx, old)
			require.NoError(b.t, err)
			require.Equal(b.t, !taken, status == pb.OrderStatus_ORDER_STATUS_PENDING)
		}
	})
}

func TestReject(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		ctx := b.t.Context()
		no := &tcc.Rejection{Reason: "NO", Message: "it's \"no\" — ?", Metadata: map[string]string{"sku": "a"}}
		gid := b.insert(over)
		current, err := b.store.reject(ctx, k, "another", no)
		require.NoError(b.t, err)
		require.False(b.t, current)
		require.NoError(b.t, b.store.note(ctx, k, gid, &tcc.Rejection{Reason: "FIRST"}))
		current, err = b.store.reject(ctx, k, gid, no)
		require.NoError(b.t, err)
		require.True(b.t, current)
		require.NoError(b.t, b.store.note(ctx, k, gid, &tcc.Rejection{Reason: "LATER"}))
		current, err = b.store.reject(ctx, k, gid, &tcc.Rejection{Reason: "LATER"})
		require.NoError(b.t, err)
		require.False(b.t, current)
		require.Equal(b.t, no, b.find().outcome, "the first rejection is for good")
		_, taken := b.takeOver(gid, true)
		require.False(b.t, taken)
		b.requireSuperseded(b.try(gid))
	})
}

// The cancelled order tells why, if the initiator has said so.
func TestCancelledOrdersHaveTheirReason(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		ctx := b.t.Context()
		gid := b.insert(over)
		require.NoError(b.t, b.try(gid))
		require.NoError(b.t, b.store.note(ctx, k, gid, &tcc.Rejection{Reason: "PRICE_CHANGED"}))
		b.cancel(gid)
		next, taken := b.takeOver(gid, false)
		require.True(b.t, taken)
		require.NoError(b.t, b.try(next))
		b.cancel(next)

		found, err := b.orders.list(ctx, k.account, "", 10)
		require.NoError(b.t, err)
		require.Len(b.t, found, 2)
		require.Equal(b.t, []string{next, gid}, []string{found[0].GetOrderId(), found[1].GetOrderId()}, "newest first")
		require.Equal(b.t, []string{"ABORTED", "PRICE_CHANGED"}, []string{found[0].GetReason(), found[1].GetReason()})
	})
}

func TestOrdersAreReadAsTheyWereMade(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		gid := b.insert(over)
		sub := b.news.subscribe(gid)
		defer sub.Close()
		require.NoError(b.t, b.try(gid))
		b.confirm(gid)
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_CONFIRMED, <-sub.C)
		resp, err := b.GetOrder(b.t.Context(), &pb.GetOrderRequest{OrderId: gid})
		require.NoError(b.t, err)
		order := resp.GetOrder()
		require.Equal(b.t, "r", order.GetRequestId())
		require.Equal(b.t, "a", order.GetAccountId())
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_CONFIRMED, order.GetStatus())
		require.Empty(b.t, order.GetReason())
		require.Equal(b.t, int64(5), order.GetTotal().GetAmount())
		require.True(b.t, createTime(gid).Equal(order.GetCreateTime().AsTime()))
		require.Len(b.t, order.GetLines(), 2)
		require.Equal(b.t, []string{"x", "y"}, []string{order.GetLines()[0].GetSku(), order.GetLines()[1].GetSku()})
		require.Equal(b.t, "EUR", order.GetLines()[1].GetPrice().GetCurrency())
	})
}

func TestTryCreateRefusesATotalThatIsNotTheLines(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		gid := b.insert(long)
		for _, total := range []struct {
			n        int64
			currency string
		}{{4, "EUR"}, {5, "USD"}} {
			_, err := b.TryCreate(b.in(gid, tcc.Try), &pb.CreateRequest{
				RequestId: k.request, AccountId: k.account, Total: money(total.n, total.currency),
				Lines: []*pb.OrderLine{{Sku: "x", Quantity: 1, Price: money(5, "EUR")}},
			})
			require.ErrorIs(b.t, err, tcc.ErrInvalid)
		}
		_, err := b.TryCreate(b.t.Context(), &pb.CreateRequest{
			Total: money(5, "EUR"), Lines: []*pb.OrderLine{{Sku: "x", Quantity: 1, Price: money(5, "EUR")}},
		})
		require.ErrorIs(b.t, err, tcc.ErrNoBranch)
	})
}

// An id that PlaceOrder has answered with can be asked for, whether or not its
// order was made.
func TestGetOrderOfAnAttempt(t *testing.T) {
	t.Parallel()
	eachStore(t, func(b *bundle) {
		get := func(gid string) (*pb.Order, error) {
			resp, err := b.GetOrder(b.t.Context(), &pb.GetOrderRequest{OrderId: gid})
			return resp.GetOrder(), err
		}
		gid := b.insert(long)
		o, err := get(gid)
		require.NoError(b.t, err)
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_PENDING, o.GetStatus(), "a call is at it")
		require.Equal(b.t, "r", o.GetRequestId())

		require.NoError(b.t, b.store.release(b.t.Context(), k, gid))
		_, err = get(gid)
		rpctest.RequireStatus(b.t, err, codes.NotFound, "UNKNOWN_ORDER")
		require.ErrorContains(b.t, err, "send its request again", "no call is at it any more")

		_, err = b.store.reject(b.t.Context(), k, gid, &tcc.Rejection{Reason: "NO"})
		require.NoError(b.t, err)
		o, err = get(gid)
		require.NoError(b.t, err)
		require.Equal(b.t, pb.OrderStatus_ORDER_STATUS_CANCELLED, o.GetStatus())
		require.Equal(b.t, "NO", o.GetReason())
		_, err = get(b.gid())
		rpctest.RequireStatus(b.t, err, codes.NotFound, "UNKNOWN_ORDER")
	})
}
