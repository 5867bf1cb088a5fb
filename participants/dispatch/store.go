package dispatch

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	orderpb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/messaging"
)

// store is the tables shipment and shipment_line.
type store struct{ db *database.DB }

const selectShipments = "SELECT shipment_id, order_id, account_id, created_at FROM shipment"

// ofOrder reads the shipment of an order, nil if there is none.
func (s *store) ofOrder(ctx context.Context, order string) (*pb.Shipment, error) {
	found, err := s.read(ctx, selectShipments+" WHERE order_id = ?", order)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// list reads the shipments of an account before an id, "" for all of them,
// newest first: ids are in the order of time.
func (s *store) list(ctx context.Context, account, before string, limit int) ([]*pb.Shipment, error) {
	if before == "" {
		return s.read(ctx, selectShipments+" WHERE account_id = ? ORDER BY shipment_id DESC LIMIT ?", account, limit)
	}
	return s.read(ctx, selectShipments+" WHERE account_id = ? AND shipment_id < ? ORDER BY shipment_id DESC LIMIT ?", account, before, limit)
}

func (s *store) read(ctx context.Context, query string, args ...any) ([]*pb.Shipment, error) {
	found, err := s.heads(ctx, query, args...)
	if err == nil && len(found) > 0 {
		err = s.addLines(ctx, found)
	}
	return found, err
}

func (s *store) heads(ctx context.Context, query string, args ...any) ([]*pb.Shipment, error) {
	rows, err := s.db.SQL().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*pb.Shipment
	for rows.Next() {
		shipment := &pb.Shipment{}
		var created int64
		if err := rows.Scan(&shipment.ShipmentId, &shipment.OrderId, &shipment.AccountId, &created); err != nil {
			return nil, err
		}
		shipment.CreateTime = timestamppb.New(time.UnixMilli(created))
		found = append(found, shipment)
	}
	return found, rows.Err()
}

// addLines reads the lines of all the shipments at once.
func (s *store) addLines(ctx context.Context, found []*pb.Shipment) error {
	byID := make(map[string]*pb.Shipment, len(found))
	args := make([]any, len(found))
	for i, shipment := range found {
		byID[shipment.GetShipmentId()], args[i] = shipment, shipment.GetShipmentId()
	}
	rows, err := s.db.SQL().QueryContext(ctx, "SELECT shipment_id, sku, quantity FROM shipment_line WHERE shipment_id IN (?"+strings.Repeat(", ?", len(args)-1)+") ORDER BY shipment_id, line", args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		line := &pb.ShipmentLine{}
		if err := rows.Scan(&id, &line.Sku, &line.Quantity); err != nil {
			return err
		}
		byID[id].Lines = append(byID[id].Lines, line)
	}
	return rows.Err()
}

// ship makes the shipment of an order. If there is one already, as after a
// second message about the order under an id of its own, it does nothing.
func (s *store) ship(ctx context.Context, tx messaging.Tx, id string, order *orderpb.Order) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO shipment (shipment_id, order_id, account_id, created_at) VALUES (?, ?, ?, "+s.db.Dialect().Now()+")",
		id, order.GetOrderId(), order.GetAccountId())
	if database.IsDuplicate(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var args []any
	for i, line := range order.GetLines() {
		args = append(args, id, i+1, line.GetSku(), line.GetQuantity())
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO shipment_line (shipment_id, line, sku, quantity) VALUES (?, ?, ?, ?)"+
		strings.Repeat(", (?, ?, ?, ?)", len(order.GetLines())-1), args...)
	return err
}
