package demo

import (
	"context"
	"fmt"

	accountpb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
)

// figures are an account and an item at one moment, read through the API.
type figures struct {
	account *accountpb.Account
	item    *stockpb.Item
}

func (c *shop) figures(ctx context.Context, account, sku string) (figures, error) {
	a, err := c.accounts.GetAccount(ctx, &accountpb.GetAccountRequest{AccountId: account})
	if err != nil {
		return figures{}, fmt.Errorf("read account %s: %w", account, err)
	}
	i, err := c.items.GetItem(ctx, &stockpb.GetItemRequest{Sku: sku})
	if err != nil {
		return figures{}, fmt.Errorf("read item %s: %w", sku, err)
	}
	return figures{a.GetAccount(), i.GetItem()}, nil
}

// numbers are what the figures say, in the order of the table.
func (f figures) numbers() [6]int64 {
	return [...]int64{
		f.account.GetAvailable(), f.account.GetFrozen(), f.account.GetSpent(),
		f.item.GetAvailable(), f.item.GetReserved(), f.item.GetSold(),
	}
}

// bought is what the figures must be once the amount is spent and the pieces are sold.
func (f figures) bought(amount, pieces int64) [6]int64 {
	n := f.numbers()
	n[0] -= amount
	n[2] += amount
	n[3] -= pieces
	n[5] += pieces
	return n
}

// must returns an error if the figures are not those wanted.
func (f figures) must(want [6]int64) error {
	if got := f.numbers(); got != want {
		return fmt.Errorf("the figures are %v, they must be %v (account available, frozen, spent; item available, reserved, sold)", got, want)
	}
	return nil
}

// compare prints figures side by side.
func (p *printer) compare(heads []string, columns ...figures) {
	first := columns[0]
	rows := [][]string{
		append([]string{"", ""}, heads...),
		{first.account.GetAccountId(), "available"},
		{"", "frozen"},
		{"", "spent"},
		{first.item.GetSku(), "available"},
		{"", "reserved"},
		{"", "sold"},
	}
	for _, f := range columns {
		for i, n := range f.numbers() {
			text := thousands(n)
			if i < 3 {
				text = euros(n)
			}
			rows[i+1] = append(rows[i+1], text)
		}
	}
	p.table(rows)
}
