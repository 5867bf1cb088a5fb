package order

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// orders reads the tables orders and order_line, which only branches write.
type orders struct{ db *database.DB }

const selectOrder = "SELECT gid, request_id, account_id, status, total_amount, currency, reason, created_at FROM orders"

// get reads an order, nil if there is none.
func (o *orders) get(ctx context.Context, gid string) (*pb.Order, error) {
	found, err := o.read(ctx, selectOrder+" WHERE gid = ?", gid)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// list reads the orders of an account before a gid, "" for all of them, newest
// first: gids are in the order of time.
func (o *orders) list(ctx context.Context, account, before string, limit int) ([]*pb.Order, error) {
	if before == "" {
		return o.read(ctx, selectOrder+" WHERE account_id = ? ORDER BY gid DESC LIMIT ?", account, limit)
	}
	return o.read(ctx, selectOrder+" WHERE account_id = ? AND gid < ? ORDER BY gid DESC LIMIT ?", account, before, limit)
}

// status reads where an order stands, UNSPECIFIED if there is none.
func (o *orders) status(ctx context.Context, gid string) (pb.OrderStatus, error) {
	var status pb.OrderStatus
	err := o.db.SQL().QueryRowContext(ctx, "SELECT status FROM orders WHERE gid = ?", gid).Scan(&status)
	if errors.Is(err, sql.ErrNoRows) {
		return pb.OrderStatus_ORDER_STATUS_UNSPECIFIED, nil
	}
	return status, database.Transient(err)
}

// attempt reads what is known of an attempt without an order: the request whose
// current attempt it is. It returns nil if there is none.
func (o *orders) attempt(ctx context.Context, gid string) (found *pb.Order, leased bool, err error) {
	var (
		order   pb.Order
		outcome sql.NullString
		reason  []byte
	)
	err = o.db.SQL().QueryRowContext(ctx, "SELECT account_id, request_id, outcome, reason, lease_until > "+o.db.Dialect().Now()+" FROM order_request WHERE gid = ?", gid).
		Scan(&order.AccountId, &order.RequestId, &outcome, &reason, &leased)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, database.Transient(err)
	}
	order.OrderId, order.Status, order.CreateTime = gid, pb.OrderStatus_ORDER_STATUS_PENDING, timestamppb.New(createTime(gid))
	if outcome.Valid {
		order.Status = pb.OrderStatus_ORDER_STATUS_CANCELLED
		order.Reason, err = reasonOf(reason)
	}
	return &order, leased, err
}

func (o *orders) read(ctx context.Context, query string, args ...any) ([]*pb.Order, error) {
	found, err := o.heads(ctx, query, args...)
	if err == nil && len(found) > 0 {
		err = o.addLines(ctx, found)
	}
	return found, database.Transient(err)
}

func (o *orders) heads(ctx context.Context, query string, args ...any) ([]*pb.Order, error) {
	rows, err := o.db.SQL().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*pb.Order
	for rows.Next() {
		order := &pb.Order{Total: &commonpb.Money{}}
		var reason []byte
		var created int64
		if err := rows.Scan(&order.OrderId, &order.RequestId, &order.AccountId, &order.Status, &order.Total.Amount, &order.Total.Currency, &reason, &created); err != nil {
			return nil, err
		}
		order.CreateTime = timestamppb.New(time.UnixMilli(created))
		if order.Reason, err = reasonOf(reason); err != nil {
			return nil, err
		}
		found = append(found, order)
	}
	return found, rows.Err()
}

// addLines reads the lines of all the orders at once.
func (o *orders) addLines(ctx context.Context, found []*pb.Order) error {
	byGID := make(map[string]*pb.Order, len(found))
	args := make([]any, len(found))
	for i, order := range found {
		byGID[order.GetOrderId()], args[i] = order, order.GetOrderId()
	}
	rows, err := o.db.SQL().QueryContext(ctx, "SELECT gid, sku, quantity, price_amount FROM order_line WHERE gid IN (?"+strings.Repeat(", ?", len(args)-1)+") ORDER BY gid, line", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var gid string
		line := &pb.OrderLine{Price: &commonpb.Money{}}
		if err := rows.Scan(&gid, &line.Sku, &line.Quantity, &line.Price.Amount); err != nil {
			return err
		}
		order := byGID[gid]
		line.Price.Currency = order.GetTotal().GetCurrency()
		order.Lines = append(order.Lines, line)
	}
	return rows.Err()
}

// reasonOf returns the reason's constant, "" if there is no reason.
func reasonOf(stored []byte) (string, error) {
	if len(stored) == 0 {
		return "", nil
	}
	r, err := parseReason(stored)
	if err != nil {
		return "", err
	}
	return r.Reason, nil
}
