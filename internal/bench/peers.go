package bench

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/rpc"
)

// What an order moves: one piece of one item.
const (
	currency = "EUR"
	price    = 100
)

// peers are an account and a stock service that take part in orders.
type peers struct {
	accountAddr, stockAddr string
	account, stock         *grpc.ClientConn
}

func dialPeers(accountAddr, stockAddr string) (*peers, error) {
	p := &peers{accountAddr: accountAddr, stockAddr: stockAddr}
	var err error
	if p.account, err = rpc.Dial(accountAddr, rpc.DialConfig{}); err != nil {
		return nil, err
	}
	if p.stock, err = rpc.Dial(stockAddr, rpc.DialConfig{}); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *peers) close() {
	for _, conn := range []*grpc.ClientConn{p.account, p.stock} {
		if conn != nil {
			_ = conn.Close() // fails only if it was closed before
		}
	}
}

// order commits one order of one line as a global transaction of two branches. Stock is registered first
// and so confirmed last: when all stock is sold, all money is spent.
func (p *peers) order(ctx context.Context, client *coordinator.Client, account, sku string) error {
	amount := &commonpb.Money{Amount: price, Currency: currency}
	return client.Run(ctx, func(ctx context.Context, tx *coordinator.Transaction) error {
		return tx.Try(ctx,
			coordinator.Branch{
				Conn: p.stock, Target: p.stockAddr,
				Try:     stockpb.StockService_TryReserve_FullMethodName,
				Confirm: stockpb.StockService_ConfirmReserve_FullMethodName,
				Cancel:  stockpb.StockService_CancelReserve_FullMethodName,
				Request: &stockpb.ReserveRequest{Lines: []*stockpb.ReserveLine{{Sku: sku, Quantity: 1, Price: amount}}},
			},
			coordinator.Branch{
				Conn: p.account, Target: p.accountAddr,
				Try:     accountpb.AccountService_TryDebit_FullMethodName,
				Confirm: accountpb.AccountService_ConfirmDebit_FullMethodName,
				Cancel:  accountpb.AccountService_CancelDebit_FullMethodName,
				Request: &accountpb.DebitRequest{AccountId: account, Amount: amount},
			})
	})
}

// shelf is what all of stock adds up to.
type shelf struct{ available, reserved, sold int64 }

func (p *peers) shelf(ctx context.Context) (s shelf, err error) {
	const page = 1000 // the most that one call gives
	client := stockpb.NewStockServiceClient(p.stock)
	token := ""
	for {
		resp, err := client.ListItems(ctx, &stockpb.ListItemsRequest{PageSize: page, PageToken: token}, grpc.WaitForReady(true))
		if err != nil {
			return s, fmt.Errorf("bench: list items: %w", err)
		}
		for _, i := range resp.GetItems() {
			s.available += i.GetAvailable()
			s.reserved += i.GetReserved()
			s.sold += i.GetSold()
		}
		if token = resp.GetNextPageToken(); token == "" {
			return s, nil
		}
	}
}
