package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

const (
	deposit = 1_000_000_000_000 // more than can be spent
	supply  = 1_000_000_000
	seeders = 16
)

func accountID(i int) string { return fmt.Sprintf("account-%06d", i) }
func skuOf(i int) string     { return fmt.Sprintf("item-%06d", i) }

// seed opens accounts and puts items into stock, rows of each.
func (p *peers) seed(ctx context.Context, rows int) error {
	accounts, stock := accountpb.NewAccountServiceClient(p.account), stockpb.NewStockServiceClient(p.stock)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(seeders)
	for i := range rows {
		workers.Go(func() error {
			id, sku := accountID(i), skuOf(i)
			_, err := accounts.OpenAccount(ctx, &accountpb.OpenAccountRequest{RequestId: "open-" + id, AccountId: id, Currency: currency})
			if err == nil {
				_, err = accounts.Deposit(ctx, &accountpb.DepositRequest{RequestId: "deposit-" + id, AccountId: id, Amount: &commonpb.Money{Amount: deposit, Currency: currency}})
			}
			if err == nil {
				_, err = stock.PutItem(ctx, &stockpb.PutItemRequest{RequestId: "put-" + sku, Sku: sku, Add: supply, Price: &commonpb.Money{Amount: price, Currency: currency}})
			}
			if err != nil {
				return fmt.Errorf("bench: seed: %w", err)
			}
			return nil
		})
	}
	return workers.Wait()
}

// verify reads all accounts and items and returns an error unless exactly the given number of orders has
// been carried out and nothing is lost or left halfway.
func (p *peers) verify(ctx context.Context, rows int, orders int64) error {
	s, err := p.shelf(ctx)
	if err != nil {
		return err
	}
	if s.available+s.reserved+s.sold != int64(rows)*supply || s.reserved != 0 || s.sold != orders {
		return fmt.Errorf("bench: stock does not add up: %+v after %d orders of %d pieces", s, orders, int64(rows)*supply)
	}
	var spent atomic.Int64
	accounts := accountpb.NewAccountServiceClient(p.account)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(seeders)
	for i := range rows {
		workers.Go(func() error {
			resp, err := accounts.GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: accountID(i)})
			if err != nil {
				return fmt.Errorf("bench: verify: %w", err)
			}
			a := resp.GetAccount()
			if a.GetAvailable()+a.GetFrozen()+a.GetSpent() != deposit || a.GetFrozen() != 0 {
				return fmt.Errorf("bench: account does not add up: %v", a)
			}
			spent.Add(a.GetSpent())
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	if spent.Load() != orders*price {
		return fmt.Errorf("bench: %d was spent on %d orders at %d", spent.Load(), orders, price)
	}
	return nil
}
