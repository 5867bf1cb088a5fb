package express_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/outbox"
	"github.com/tcckit/tcckit/participants/express"
)

const (
	pending   = pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_PENDING
	confirmed = pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CONFIRMED
	cancelled = pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_CANCELLED
)

func TestAnOrderAsksStock(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		order := b.place(request("r"))
		require.Equal(t, pending, order.GetStatus())
		require.Equal(t, "r", order.GetRequestId())
		require.Equal(t, "ann", order.GetAccountId())
		require.NotZero(t, order.GetCreateTime().GetSeconds())
		require.True(t, proto.Equal(&pb.TakeRequested{Lines: request("r").GetLines()}, &pb.TakeRequested{Lines: order.GetLines()}))
		resp, err := b.GetExpressOrder(t.Context(), &pb.GetExpressOrderRequest{OrderId: order.GetOrderId()})
		require.NoError(t, err)
		require.True(t, proto.Equal(order, resp.GetOrder()))

		asked := b.posted(event.TopicExpressTake)
		require.Len(t, asked, 1)
		require.Equal(t, order.GetOrderId(), asked[0].UUID)
		require.Equal(t, event.TopicExpressResult, asked[0].Metadata.Get(messaging.MetadataResultTopic))
		var take pb.TakeRequested
		require.NoError(t, event.Decode(asked[0], &take))
		require.True(t, proto.Equal(&pb.TakeRequested{OrderId: order.GetOrderId(), Lines: order.GetLines()}, &take))
		b.requireAsked(order.GetOrderId(), outbox.StateNew)
	})
}

func TestARequestIsOneOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var mu sync.Mutex
		ids := make(map[string]string)
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				req := request("r" + string(rune('0'+i%3)))
				resp, err := b.PlaceExpressOrder(t.Context(), req)
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if id, ok := ids[req.GetRequestId()]; ok && id != resp.GetOrder().GetOrderId() {
					t.Errorf("two orders for %s", req.GetRequestId())
				}
				ids[req.GetRequestId()] = resp.GetOrder().GetOrderId()
			})
		}
		all.Wait()
		require.Len(t, b.posted(event.TopicExpressTake), 3)

		// The answer tells where the order stands, not where it stood.
		require.NoError(t, b.inbox.Handle(b.result(b.posted(event.TopicExpressTake)[0], false, "")))
		first := b.posted(event.TopicExpressTake)[0].UUID
		for requestID, id := range ids {
			want := pending
			if id == first {
				want = confirmed
			}
			require.Equal(t, want, b.place(request(requestID)).GetStatus())
		}
		for name, change := range map[string]func(*pb.PlaceExpressOrderRequest){
			"account":  func(r *pb.PlaceExpressOrderRequest) { r.AccountId = "bob" },
			"quantity": func(r *pb.PlaceExpressOrderRequest) { r.Lines[0].Quantity++ },
			"lines":    func(r *pb.PlaceExpressOrderRequest) { r.Lines = r.Lines[:1] },
		} {
			req := request("r1")
			change(req)
			_, err := b.PlaceExpressOrder(t.Context(), req)
			rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
			require.ErrorContains(t, err, "another body", name)
		}
	})
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		many := make([]*orderpb.LineItem, 101)
		for i := range many {
			many[i] = &orderpb.LineItem{Sku: "sku-" + string(rune('a'+i%26)) + string(rune('a'+i/26)), Quantity: 1}
		}
		for name, change := range map[string]func(*pb.PlaceExpressOrderRequest){
			"no request id":       func(r *pb.PlaceExpressOrderRequest) { r.RequestId = "" },
			"request id too long": func(r *pb.PlaceExpressOrderRequest) { r.RequestId = strings.Repeat("x", 65) },
			"no account":          func(r *pb.PlaceExpressOrderRequest) { r.AccountId = "" },
			"no lines":            func(r *pb.PlaceExpressOrderRequest) { r.Lines = nil },
			"many lines":          func(r *pb.PlaceExpressOrderRequest) { r.Lines = many },
			"nothing":             func(r *pb.PlaceExpressOrderRequest) { r.Lines[0].Quantity = 0 },
			"negative":            func(r *pb.PlaceExpressOrderRequest) { r.Lines[0].Quantity = -1 },
			"too many":            func(r *pb.PlaceExpressOrderRequest) { r.Lines[0].Quantity = 1_000_001 },
			"the same twice":      func(r *pb.PlaceExpressOrderRequest) { r.Lines[0].Sku = r.GetLines()[1].GetSku() },
		} {
			req := request("r")
			change(req)
			_, err := b.PlaceExpressOrder(t.Context(), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		_, err := b.GetExpressOrder(t.Context(), &pb.GetExpressOrderRequest{OrderId: "none"})
		rpctest.RequireStatus(t, err, codes.NotFound, "UNKNOWN_ORDER")
		require.Empty(t, b.posted(event.TopicExpressTake))
		req := request("r")
		req.Lines = many[:100]
		require.Len(t, b.place(req).GetLines(), 100)
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := express.New(express.Config{})
	require.ErrorContains(t, err, "no DB")
	each(t, func(t *testing.T, b *bundle) {
		_, err := express.New(express.Config{DB: b.db})
		require.ErrorContains(t, err, "no Outbox")
	})
}
