package smoke_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/smoke"
)

// shop answers all calls: an order is PENDING first, then confirmed.
type shop struct {
	away    int // how many calls are refused first
	status  orderpb.OrderStatus
	account *accountpb.Account
	item    *stockpb.Item
	calls   map[string]int
}

func newShop() *shop {
	return &shop{
		status:  orderpb.OrderStatus_ORDER_STATUS_CONFIRMED,
		account: &accountpb.Account{Available: 7500, Spent: 2500},
		item:    &stockpb.Item{Available: 3, Sold: 2},
		calls:   make(map[string]int),
	}
}

var _ grpc.ClientConnInterface = (*shop)(nil)

// Invoke implements grpc.ClientConnInterface.
func (s *shop) Invoke(ctx context.Context, method string, _, reply any, _ ...grpc.CallOption) error {
	s.calls[method]++
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	if s.away > 0 {
		s.away--
		return status.Error(codes.Unavailable, "not yet")
	}
	order := &orderpb.Order{OrderId: "o1", Status: s.status, Total: &commonpb.Money{Amount: 2500}}
	var answer proto.Message
	switch method {
	case orderpb.OrderService_PlaceOrder_FullMethodName:
		if s.calls[method] == 1 {
			order.Status = orderpb.OrderStatus_ORDER_STATUS_PENDING
		}
		answer = &orderpb.PlaceOrderResponse{Order: order}
	case orderpb.OrderService_GetOrder_FullMethodName:
		answer = &orderpb.GetOrderResponse{Order: order}
	case accountpb.AccountService_GetAccount_FullMethodName:
		answer = &accountpb.GetAccountResponse{Account: s.account}
	case stockpb.StockService_GetItem_FullMethodName:
		answer = &stockpb.GetItemResponse{Item: s.item}
	default:
		return nil
	}
	to, _ := reply.(proto.Message)
	proto.Merge(to, answer)
	return nil
}

// NewStream implements grpc.ClientConnInterface.
func (*shop) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams")
}

func run(ctx context.Context, s *shop) (string, error) {
	var out bytes.Buffer
	err := smoke.Run(ctx, smoke.Config{Order: s, Account: s, Stock: s, Out: &out})
	return out.String(), err
}

func TestAShopThatIsStillStartingIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newShop()
	s.away = 2
	out, err := run(t.Context(), s)
	require.NoError(t, err)
	require.Contains(t, out, "order o1 is confirmed: 2 pieces, 2500\n")
	require.Contains(t, out, "balance 7500, spent 2500\n")
	require.Contains(t, out, "in stock 3, sold 2\n")
}

func TestWrongBooksAreToldPlainly(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*shop){
		"read the account: the books are wrong": func(s *shop) { s.account.Frozen = 1 },
		"read the stock: the stock is wrong":    func(s *shop) { s.item.Sold = 1 },
		"place an order: the order is":          func(s *shop) { s.status = orderpb.OrderStatus_ORDER_STATUS_CANCELLED },
	} {
		s := newShop()
		spoil(s)
		_, err := run(t.Context(), s)
		require.ErrorContains(t, err, want)
	}
}

func TestItEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newShop()
	s.away = 1_000_000
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := run(ctx, s)
	require.ErrorContains(t, err, "open an account: ")
	require.Equal(t, codes.Canceled, status.Code(err))
}
