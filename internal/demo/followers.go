package demo

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	bankpb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	"github.com/tcckit/tcckit/internal/stack"
)

// followers is a client of the services that are driven by messages.
type followers struct {
	carts     cartpb.CartServiceClient
	shipments dispatchpb.DispatchServiceClient
	express   expresspb.ExpressServiceClient
	// Both banks are at one address, told apart by the authority of the call.
	north, south bankpb.BankServiceClient

	// expressPieces are those of this run's confirmed express orders.
	expressPieces int64
}

func newFollowers(s *stack.Stack, dial func(addr string, opts ...grpc.DialOption) *grpc.ClientConn) followers {
	order, stock := s.Service(stack.Order), s.Service(stack.Stock)
	return followers{
		carts:     cartpb.NewCartServiceClient(dial(order.Public)),
		shipments: dispatchpb.NewDispatchServiceClient(dial(order.Public)),
		express:   expresspb.NewExpressServiceClient(dial(stock.Public)),
		north:     bankpb.NewBankServiceClient(dial(order.Internal, grpc.WithAuthority("bank-north"))),
		south:     bankpb.NewBankServiceClient(dial(order.Internal, grpc.WithAuthority("bank-south"))),
	}
}

// addToCart puts a line into an account's cart.
func (f *followers) addToCart(ctx context.Context, account, sku string, quantity int64) (*cartpb.CartLine, error) {
	resp, err := f.carts.AddItem(ctx, &cartpb.AddItemRequest{
		RequestId: fmt.Sprintf("add-%s-%s-%d", account, sku, quantity), AccountId: account, Sku: sku, Quantity: quantity,
	})
	if err != nil {
		return nil, fmt.Errorf("put %s into the cart of %s: %w", sku, account, err)
	}
	return resp.GetLine(), nil
}

// cart is what is in an account's cart.
func (f *followers) cart(ctx context.Context, account string) ([]*cartpb.CartLine, error) {
	resp, err := f.carts.GetCart(ctx, &cartpb.GetCartRequest{AccountId: account})
	if err != nil {
		return nil, fmt.Errorf("read the cart of %s: %w", account, err)
	}
	return resp.GetLines(), nil
}

// shipment is an order's, nil if there is none yet.
func (f *followers) shipment(ctx context.Context, order string) (*dispatchpb.Shipment, error) {
	resp, err := f.shipments.GetShipment(ctx, &dispatchpb.GetShipmentRequest{OrderId: order})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the shipment of order %s: %w", order, err)
	}
	return resp.GetShipment(), nil
}

// shipped lists all shipments of an account.
func (f *followers) shipped(ctx context.Context, account string) ([]*dispatchpb.Shipment, error) {
	var all []*dispatchpb.Shipment
	token := ""
	for {
		resp, err := f.shipments.ListShipments(ctx, &dispatchpb.ListShipmentsRequest{AccountId: account, PageToken: token})
		if err != nil {
			return nil, fmt.Errorf("list the shipments of %s: %w", account, err)
		}
		all = append(all, resp.GetShipments()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}
