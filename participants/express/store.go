package express

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/express/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// insert inserts an order as PENDING.
func insert(ctx context.Context, tx *sql.Tx, d database.Dialect, order *pb.ExpressOrder) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO express_order (order_id, request_id, account_id, status, created_at) VALUES (?, ?, ?, ?, "+d.Now()+")",
		order.GetOrderId(), order.GetRequestId(), order.GetAccountId(), pb.ExpressOrderStatus_EXPRESS_ORDER_STATUS_PENDING)
	if err != nil {
		return err
	}
	args := make([]any, 0, 4*len(order.GetLines()))
	for i, l := range order.GetLines() {
		args = append(args, order.GetOrderId(), i+1, l.GetSku(), l.GetQuantity())
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO express_order_line (order_id, line, sku, quantity) VALUES (?, ?, ?, ?)"+
		strings.Repeat(", (?, ?, ?, ?)", len(order.GetLines())-1), args...)
	return err
}

// find reads an order, nil if there is none.
func find(ctx context.Context, db *sql.DB, id string) (*pb.ExpressOrder, error) {
	var order pb.ExpressOrder
	var reason sql.NullString
	var created int64
	err := db.QueryRowContext(ctx, "SELECT order_id, request_id, account_id, status, reason, created_at FROM express_order WHERE order_id = ?", id).
		Scan(&order.OrderId, &order.RequestId, &order.AccountId, &order.Status, &reason, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	order.Reason, order.CreateTime = reason.String, timestamppb.New(time.UnixMilli(created))
	order.Lines, err = lines(ctx, db, id)
	return &order, err
}

func lines(ctx context.Context, db *sql.DB, id string) ([]*orderpb.LineItem, error) {
	rows, err := db.QueryContext(ctx, "SELECT sku, quantity FROM express_order_line WHERE order_id = ? ORDER BY line", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*orderpb.LineItem
	for rows.Next() {
		var l orderpb.LineItem
		if err := rows.Scan(&l.Sku, &l.Quantity); err != nil {
			return nil, err
		}
		found = append(found, &l)
	}
	return found, rows.Err()
}
