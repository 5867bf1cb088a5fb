package order

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	barrierpb "github.com/tcckit/tcckit/api/gen/tcckit/barrier/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/tcc"
)

// RestoreOrder makes an order again that the database has lost, if the
// coordinator and the other participants bear witness to it.
func (s *Service) RestoreOrder(ctx context.Context, req *pb.RestoreOrderRequest) (*pb.RestoreOrderResponse, error) {
	e := req.GetEvent()
	gid := e.GetOrderId()
	if err := tcc.ValidateGID(gid); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if stands, err := s.orders.status(ctx, gid); err != nil || stands != pb.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		return &pb.RestoreOrderResponse{}, err
	}
	if err := s.witness(ctx, e); err != nil {
		return nil, err
	}
	restored, err := s.store.restore(ctx, e)
	if err != nil {
		return nil, database.Transient(err)
	}
	if restored {
		s.cfg.Logger.WarnContext(ctx, "an order that this database had lost was made again from its message",
			"gid", gid, "account_id", e.GetAccountId(), "request_id", e.GetRequestId())
		return &pb.RestoreOrderResponse{Restored: true}, nil
	}
	// Another call has restored it, or else its request was sent again just
	// now, which the next look will see.
	if stands, err := s.orders.status(ctx, gid); err != nil || stands == pb.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		return nil, rpc.Error(codes.Unavailable, "BUSY", "the order's request is being handled: send the same again", nil)
	}
	return &pb.RestoreOrderResponse{}, nil
}

// unwitnessed says why an order is not restored.
func unwitnessed(reason, message string, metadata map[string]string) error {
	return rpc.Error(codes.FailedPrecondition, reason, "the order is not restored: "+message, metadata)
}

// witness returns nil if the global transaction succeeded, with this order, and
// the other participants have confirmed.
func (s *Service) witness(ctx context.Context, e *pb.OrderConfirmed) error {
	gid := e.GetOrderId()
	info, err := s.cfg.Coordinator.Query(ctx, gid)
	switch {
	case errors.Is(err, coordinator.ErrNotFound):
		return unwitnessed("TRANSACTION_NOT_SUCCEEDED", "the coordinator does not know its transaction", map[string]string{"gid": gid})
	case err != nil:
		return rpc.Error(codes.Unavailable, "COORDINATOR_AWAY", "the coordinator cannot be asked about the order: send the same again", nil)
	case info.Status == coordinator.Submitted:
		return rpc.Error(codes.Unavailable, "IN_PROGRESS", "the order's transaction is being confirmed: send the same again", map[string]string{"gid": gid})
	case info.Status != coordinator.Succeeded:
		return unwitnessed("TRANSACTION_NOT_SUCCEEDED", "the coordinator says that its transaction is "+string(info.Status),
			map[string]string{"gid": gid, "status": string(info.Status)})
	}
	if !announced(info, e) {
		return unwitnessed("MESSAGE_DIFFERS", "its transaction is about another order than the message", map[string]string{"gid": gid})
	}
	for _, p := range []struct {
		name, branch string
		conn         grpc.ClientConnInterface
	}{{serviceAccount, branchAccount, s.cfg.Account.Conn}, {serviceStock, branchStock, s.cfg.Stock.Conn}} {
		if err := confirmedAt(ctx, p.conn, p.name, gid, p.branch); err != nil {
			return err
		}
	}
	return nil
}

// announced reports whether the message tells of the order that the
// coordinator has confirmed: it keeps the request of each branch.
func announced(info *coordinator.Info, e *pb.OrderConfirmed) bool {
	told := &pb.CreateRequest{
		RequestId: e.GetRequestId(), AccountId: e.GetAccountId(), Lines: e.GetLines(), Total: e.GetTotal(), CartLineIds: e.GetCartLineIds(),
	}
	return slices.ContainsFunc(info.Calls, func(c coordinator.Call) bool {
		var kept pb.CreateRequest
		return c.BranchID == branchOrder && c.Phase == tcc.Confirm && c.Done &&
			proto.Unmarshal(c.Payload, &kept) == nil && proto.Equal(&kept, told)
	})
}

// confirmedAt returns nil if the participant has confirmed its branch.
func confirmedAt(ctx context.Context, conn grpc.ClientConnInterface, participant, gid, branch string) error {
	resp, err := barrierpb.NewBarrierServiceClient(conn).GetBranches(ctx, &barrierpb.GetBranchesRequest{Participant: participant, Gid: gid})
	if err != nil {
		return rpc.Error(codes.Unavailable, "PARTICIPANT_AWAY",
			fmt.Sprintf("%s cannot be asked about the order: send the same again", participant), map[string]string{"service": participant})
	}
	state := barrierpb.BranchState_BRANCH_STATE_UNSPECIFIED
	for _, b := range resp.GetBranches() {
		if b.GetBranchId() == branch {
			state = b.GetState()
		}
	}
	if state != barrierpb.BranchState_BRANCH_STATE_CONFIRMED {
		return unwitnessed("BRANCH_NOT_CONFIRMED", participant+" has not confirmed its branch",
			map[string]string{"gid": gid, "service": participant, "state": state.String()})
	}
	return nil
}

// restore inserts an order as CONFIRMED, with the request that it answers, so
// that the same request does not make a second one. It reports false if the
// order was there.
func (s *store) restore(ctx context.Context, e *pb.OrderConfirmed) (bool, error) {
	gid, now := e.GetOrderId(), s.db.Dialect().Now()
	lines := insertLines(gid, e.GetLines())
	err := s.db.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO orders (gid, account_id, request_id, status, total_amount, currency, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			gid, e.GetAccountId(), e.GetRequestId(), int(pb.OrderStatus_ORDER_STATUS_CONFIRMED),
			e.GetTotal().GetAmount(), e.GetTotal().GetCurrency(), createTime(gid).UnixMilli())
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, lines.Query, lines.Args...); err != nil {
			return err
		}
		var known bool
		err = tx.QueryRowContext(ctx, "SELECT COUNT(*) > 0 FROM order_request WHERE account_id = ? AND request_id = ?", e.GetAccountId(), e.GetRequestId()).Scan(&known)
		if err != nil || known {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO order_request (account_id, request_id, body_hash, gid, attempt, tried, lease_until, created_at)"+
			" VALUES (?, ?, UNHEX(?), ?, 1, 1, 0, "+now+")", e.GetAccountId(), e.GetRequestId(), hex.EncodeToString(fingerprint(placed(e))), gid)
		return err
	})
	if database.IsDuplicate(err) {
		return false, nil
	}
	return err == nil, err
}

// placed is the request that led to the order.
func placed(e *pb.OrderConfirmed) *pb.PlaceOrderRequest {
	req := &pb.PlaceOrderRequest{RequestId: e.GetRequestId(), AccountId: e.GetAccountId(), CartLineIds: e.GetCartLineIds()}
	for _, l := range e.GetLines() {
		req.Lines = append(req.Lines, &pb.LineItem{Sku: l.GetSku(), Quantity: l.GetQuantity()})
	}
	return req
}
