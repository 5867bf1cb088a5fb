package stock

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// querier is what a transaction, a branch and a pool of connections have in
// common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

const (
	selectItems = "SELECT sku, price_amount, currency, available, reserved, sold FROM item"
	selectItem  = selectItems + " WHERE sku = ?"
)

// find reads an item. One that does not exist is an *unknownError.
func find(ctx context.Context, q querier, sku string) (*pb.Item, error) {
	return scanOne(q.QueryRowContext(ctx, selectItem, sku), sku)
}

// findForUpdate also locks it.
func findForUpdate(ctx context.Context, tx *sql.Tx, d database.Dialect, sku string) (*pb.Item, error) {
	return scanOne(tx.QueryRowContext(ctx, selectItem+d.ForUpdate(), sku), sku)
}

func scanOne(row *sql.Row, sku string) (*pb.Item, error) {
	item, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &unknownError{sku: sku}
	}
	return item, err
}

func scan(row interface{ Scan(dest ...any) error }) (*pb.Item, error) {
	item := &pb.Item{Price: &commonpb.Money{}}
	err := row.Scan(&item.Sku, &item.Price.Amount, &item.Price.Currency, &item.Available, &item.Reserved, &item.Sold)
	return item, err
}

// list reads the items after a SKU, in order, of the given ones if there are
// any.
func list(ctx context.Context, db *sql.DB, skus []string, after string, limit int) ([]*pb.Item, error) {
	query, args := selectItems+" WHERE sku > ?", []any{after}
	if len(skus) > 0 {
		query += " AND sku IN (?" + strings.Repeat(", ?", len(skus)-1) + ")"
		for _, sku := range skus {
			args = append(args, sku)
		}
	}
	rows, err := db.QueryContext(ctx, query+" ORDER BY sku LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []*pb.Item
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

func insert(ctx context.Context, tx *sql.Tx, d database.Dialect, sku string, price *commonpb.Money, available int64) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO item (sku, price_amount, currency, available, reserved, sold, created_at) VALUES (?, ?, ?, ?, 0, 0, "+d.Now()+")",
		sku, price.GetAmount(), price.GetCurrency(), available)
	return err
}
