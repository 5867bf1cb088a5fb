package order

import (
	"context"
	"strings"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/tcc"
)

// reasonSuperseded rejects the TryCreate of an attempt that was taken over, or
// whose request has its outcome. It never leaves this service.
const reasonSuperseded = "SUPERSEDED"

// TryCreate inserts the order as PENDING, if its attempt is still the request's
// current one.
func (s *Service) TryCreate(ctx context.Context, req *pb.CreateRequest) (*pb.TryCreateResponse, error) {
	total, err := sum(req.GetLines())
	if err != nil {
		return nil, tcc.Invalidf("%s", err)
	}
	if total.GetAmount() != req.GetTotal().GetAmount() || total.GetCurrency() != req.GetTotal().GetCurrency() {
		return nil, tcc.Invalidf("the total is %d %s, and the lines come to %d %s",
			req.GetTotal().GetAmount(), req.GetTotal().GetCurrency(), total.GetAmount(), total.GetCurrency())
	}
	return barrier.Try(ctx, s.cfg.DB.Barrier(), req, func(ctx context.Context, tx barrier.Tx) (*pb.TryCreateResponse, error) {
		b, ok := tcc.FromContext(ctx)
		if !ok {
			return nil, tcc.ErrNoBranch
		}
		// In this order, so without keys: the request's row first, whose lock
		// keeps out who would take the attempt over.
		tx.Queue(barrier.Stmt{
			Query: "UPDATE order_request SET tried = 1 WHERE account_id = ? AND request_id = ? AND gid = ? AND tried = 0 AND outcome IS NULL",
			Args:  []any{req.GetAccountId(), req.GetRequestId(), b.GID},
			Rows:  1,
			Otherwise: func(context.Context, barrier.Tx) error {
				return tcc.Reject(reasonSuperseded, "another attempt at the request has taken over", nil)
			},
		})
		tx.Queue(barrier.Stmt{
			Query: "INSERT INTO orders (gid, account_id, request_id, status, total_amount, currency, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			Args: []any{
				b.GID, req.GetAccountId(), req.GetRequestId(), int(pb.OrderStatus_ORDER_STATUS_PENDING),
				total.GetAmount(), total.GetCurrency(), createTime(b.GID).UnixMilli(),
			},
			Rows: 1,
		})
		tx.Queue(insertLines(b.GID, req.GetLines()))
		return &pb.TryCreateResponse{}, nil
	})
}

func insertLines(gid string, lines []*pb.OrderLine) barrier.Stmt {
	args := make([]any, 0, 5*len(lines))
	for i, l := range lines {
		args = append(args, gid, i+1, l.GetSku(), l.GetQuantity(), l.GetPrice().GetAmount())
	}
	return barrier.Stmt{
		Query: "INSERT INTO order_line (gid, line, sku, quantity, price_amount) VALUES (?, ?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?, ?)", len(lines)-1),
		Args:  args,
		Rows:  int64(len(lines)),
	}
}

// ConfirmCreate makes the order CONFIRMED and announces it.
func (s *Service) ConfirmCreate(ctx context.Context, req *pb.CreateRequest) (*pb.ConfirmCreateResponse, error) {
	err := s.announce(ctx, req, func(ctx context.Context, record func(context.Context, messaging.Tx) error) error {
		return barrier.Confirm(ctx, s.cfg.DB.Barrier(), func(ctx context.Context, tx barrier.Tx) error {
			err := s.finish(ctx, tx, pb.OrderStatus_ORDER_STATUS_CONFIRMED, "UPDATE orders SET status = 2 WHERE gid = ? AND status = 1")
			if err != nil {
				return err
			}
			return record(ctx, tx)
		})
	})
	if err != nil {
		return nil, err
	}
	return &pb.ConfirmCreateResponse{}, nil
}

// CancelCreate makes the order CANCELLED, for the reason that the initiator has
// left with the request, or for none of business.
func (s *Service) CancelCreate(ctx context.Context, _ *pb.CreateRequest) (*pb.CancelCreateResponse, error) {
	reason, err := formatReason(&tcc.Rejection{Reason: reasonAborted})
	if err != nil {
		return nil, err
	}
	err = barrier.Cancel(ctx, s.cfg.DB.Barrier(), func(ctx context.Context, tx barrier.Tx) error {
		return s.finish(ctx, tx, pb.OrderStatus_ORDER_STATUS_CANCELLED,
			"UPDATE orders SET status = 3, reason = COALESCE((SELECT r.reason FROM order_request r"+
				" WHERE r.account_id = orders.account_id AND r.request_id = orders.request_id AND r.gid = orders.gid), ?)"+
				" WHERE gid = ? AND status = 1", reason)
	})
	if err != nil {
		return nil, err
	}
	return &pb.CancelCreateResponse{}, nil
}

// finish queues the order's last change; args come before the gid.
func (s *Service) finish(ctx context.Context, tx barrier.Tx, status pb.OrderStatus, query string, args ...any) error {
	b, ok := tcc.FromContext(ctx)
	if !ok {
		return tcc.ErrNoBranch
	}
	tx.Queue(barrier.Stmt{Query: query, Args: append(args, b.GID), Key: b.GID, Rows: 1})
	tx.AfterCommit(func() { s.news.publish(b.GID, status) })
	return nil
}
