package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/testserver"
)

// settled waits until nothing is under way: every order is CONFIRMED or CANCELLED, every branch is
// confirmed, cancelled or rejected, nothing is frozen or reserved, DTM has finished all transactions, and no
// database has a transaction open.
func (s *shop) settled(t testing.TB) {
	t.Helper()
	eventually(t, "everything is settled", func(ctx context.Context) error {
		errs := []error{s.unfinished(ctx)}
		for _, none := range []struct{ in, what, query string }{
			{order, "orders are PENDING", "SELECT COUNT(*) FROM orders WHERE status = 1"},
			{order, "branches of order are TRIED", "SELECT COUNT(*) FROM sub_transaction_barrier WHERE state = 1"},
			{account, "branches of account are TRIED", "SELECT COUNT(*) FROM sub_transaction_barrier WHERE state = 1"},
			{stock, "branches of stock are TRIED", "SELECT COUNT(*) FROM sub_transaction_barrier WHERE state = 1"},
			{account, "is frozen", "SELECT SUM(frozen) FROM account"},
			{stock, "pieces are reserved", "SELECT SUM(reserved) FROM item"},
		} {
			n, err := s.dbs[none.in].number(ctx, none.query)
			if err == nil && n != 0 {
				err = fmt.Errorf("%d %s", n, none.what)
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	for _, db := range s.dbs {
		testserver.NoOpenTransactions(t, db.cfg)
	}
}

// unfinished says which transactions DTM has not brought to their end.
func (s *shop) unfinished(ctx context.Context) error {
	all, err := s.allTransactions(ctx)
	errs := []error{err}
	for _, tx := range all {
		if tx.Status != "succeed" && tx.Status != "failed" {
			errs = append(errs, fmt.Errorf("DTM has %s as %s", tx.GID, tx.Status))
		}
	}
	return errors.Join(errs...)
}

// transactions counts those that DTM knows.
func (s *shop) transactions(t testing.TB) int {
	t.Helper()
	all, err := s.allTransactions(bounded(t))
	require.NoError(t, err)
	return len(all)
}

// transaction is what DTM says of one.
type transaction struct {
	GID    string `json:"gid"`
	Status string `json:"status"`
}

func (s *shop) allTransactions(ctx context.Context) ([]transaction, error) {
	var answer struct {
		Transactions []transaction `json:"transactions"`
	}
	err := getBy(ctx, s.secure.roundTripper(), s.dtm.HTTPURL()+"/api/dtmsvr/all?limit=100000", func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&answer)
	})
	return answer.Transactions, err
}

// status asks DTM about a transaction; "" means that it knows none.
func (s *shop) status(t testing.TB, gid string) string {
	t.Helper()
	var answer struct {
		Transaction transaction `json:"transaction"`
	}
	require.NoError(t, getBy(bounded(t), s.secure.roundTripper(), s.dtm.HTTPURL()+"/api/dtmsvr/query?gid="+url.QueryEscape(gid), func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&answer)
	}))
	return answer.Transaction.Status
}

// balance checks an account and an item against what was paid and put in, and against the orders: nothing
// was lost or made on the way. It returns how many orders are CONFIRMED.
func (s *shop) balance(t testing.TB, accountID string, deposited int64, sku string, put int64) (orders int64) {
	t.Helper()
	ctx := bounded(t)
	var available, frozen, spent, total int64
	require.NoError(t, s.dbs[account].db.QueryRowContext(ctx, "SELECT available, frozen, spent FROM account WHERE account_id = ?", accountID).
		Scan(&available, &frozen, &spent))
	require.NoError(t, s.dbs[order].db.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(total_amount), 0) FROM orders WHERE account_id = ? AND status = 2", accountID).
		Scan(&orders, &total))
	require.Equal(t, deposited, available+frozen+spent, "what was deposited")
	require.Zero(t, frozen)
	require.False(t, available < 0 || spent < 0, "%d available, %d spent", available, spent)
	require.Equal(t, total, spent, "the confirmed orders' total")

	var there, reserved, sold, ordered int64
	require.NoError(t, s.dbs[stock].db.QueryRowContext(ctx, "SELECT available, reserved, sold FROM item WHERE sku = ?", sku).
		Scan(&there, &reserved, &sold))
	require.NoError(t, s.dbs[order].db.QueryRowContext(ctx, "SELECT COALESCE(SUM(l.quantity), 0) FROM order_line l JOIN orders o USING (gid) WHERE l.sku = ? AND o.status = 2", sku).
		Scan(&ordered))
	require.Equal(t, put, there+reserved+sold, "what was put in")
	require.Zero(t, reserved)
	require.False(t, there < 0 || sold < 0, "%d available, %d sold", there, sold)
	require.Equal(t, ordered, sold, "the pieces of confirmed orders")
	return orders
}

// done checks the customer's account, item and orders when everything is settled: one order, if it is to be
// confirmed, and none otherwise, however often it was asked for.
func (c *customer) done(t testing.TB) {
	t.Helper()
	orders := c.shop.balance(t, c.account, c.deposited, c.sku, c.put)
	if c.outcome == confirmed {
		require.EqualValues(t, 1, orders)
	} else {
		require.Zero(t, orders)
	}
}
