package e2e_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	bankpb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	expresspb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
)

// atBank is what a customer has at each bank in the beginning.
const atBank = 1_000_000

// transferOf says what a customer's n-th transfer moves, and from where to where.
func transferOf(n int64) (from, to string, amount int64) {
	if n%2 == 0 {
		return north, south, 1 + n
	}
	return south, north, 1 + n
}

// expressSKU is the item of the customer's express orders: all pieces sold of the other one are those of the orders.
func (c *customer) expressSKU() string { return "express-" + c.sku }

// openByMessage opens what the customer's orders and transfers by message need.
func (s *rollingShop) openByMessage(t *testing.T, c *customer) {
	t.Helper()
	s.put(t, c.expressSKU(), c.put, c.price)
	for _, bank := range s.banks {
		_, err := bank.OpenAccount(bounded(t), &bankpb.OpenAccountRequest{RequestId: "open-" + c.account, AccountId: c.account, Balance: money(atBank)}, ready())
		require.NoError(t, err)
	}
}

// byMessage places an express order and sends money to the other bank. Both are answered when they are durable; the
// audit waits for what follows.
func (w *rollingCrowd) byMessage(ctx context.Context, s *rollingShop, c *customer, n int) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	id := fmt.Sprintf("%s-%d", c.account, n)
	err := w.persist(ctx, func() error {
		_, err := s.expresses.PlaceExpressOrder(ctx, &expresspb.PlaceExpressOrderRequest{
			RequestId: id, AccountId: c.account, Lines: []*orderpb.LineItem{{Sku: c.expressSKU(), Quantity: c.quantity}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("express: %w", err)
	}
	from, to, amount := transferOf(int64(n))
	err = w.persist(ctx, func() error {
		_, err := s.banks[from].Transfer(ctx, &bankpb.TransferRequest{
			RequestId: id, FromAccountId: c.account, ToBank: to, ToAccountId: c.account, Amount: money(amount),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("transfer from %s: %w", from, err)
	}
	return nil
}

// auditExpress checks that stock gave out what n express orders of the customer took.
func (s *rollingShop) auditExpress(t *testing.T, c *customer, n int64) {
	t.Helper()
	var available, reserved, sold int64
	require.NoError(t, s.dbs[stock].db.QueryRowContext(bounded(t), "SELECT available, reserved, sold FROM item WHERE sku = ?", c.expressSKU()).
		Scan(&available, &reserved, &sold))
	require.Equal(t, n*c.quantity, sold, "pieces that express orders of %s took", c.account)
	require.Equal(t, c.put, available+reserved+sold)
	require.Zero(t, reserved)
}

// auditTransfers checks that n transfers of the customer moved what they were to move, and nothing else did.
func (s *rollingShop) auditTransfers(t *testing.T, c *customer, n int64) {
	t.Helper()
	want := map[string]int64{north: atBank, south: atBank}
	for i := range n {
		from, to, amount := transferOf(i)
		want[from] -= amount
		want[to] += amount
	}
	got := make(map[string]int64)
	for name := range want {
		var balance int64
		require.NoError(t, s.dbs[bankOf(name)].db.QueryRowContext(bounded(t), "SELECT balance FROM account WHERE account_id = ?", c.account).Scan(&balance))
		got[name] = balance
	}
	require.Equal(t, want, got, "of %s", c.account)
}
