package cart

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/internal/database"
)

// MaxLines is how many lines an account's cart holds, so that GetCart fits a
// gRPC message. Calls at once may go beyond it by one each.
const MaxLines = 1000

// AddItem puts a line into an account's cart.
func (s *Service) AddItem(ctx context.Context, req *pb.AddItemRequest) (*pb.AddItemResponse, error) {
	account, sku, quantity := req.GetAccountId(), req.GetSku(), req.GetQuantity()
	body := database.Fingerprint("AddItem", account, sku, strconv.FormatInt(quantity, 10))
	// A request id is the account's own. Neither holds a slash.
	id := account + "/" + req.GetRequestId()
	resp, err := database.Once(ctx, s.db, id, body, func(ctx context.Context, tx *sql.Tx) (*pb.AddItemResponse, error) {
		n, err := count(ctx, tx, account)
		if err != nil {
			return nil, err
		}
		if n >= MaxLines {
			return nil, &fullError{account: account}
		}
		line, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("cart: line id: %w", err)
		}
		if err := insert(ctx, tx, s.db.Dialect(), account, line.String(), sku, quantity); err != nil {
			return nil, err
		}
		added, err := find(ctx, tx, account, line.String())
		return &pb.AddItemResponse{Line: added}, err
	})
	return resp, edge(err, req.GetRequestId())
}

// RemoveItem takes a line out.
func (s *Service) RemoveItem(ctx context.Context, req *pb.RemoveItemRequest) (*pb.RemoveItemResponse, error) {
	rows, err := s.db.Exec(ctx, "DELETE FROM cart_line WHERE account_id = ? AND line_id = ?", req.GetAccountId(), req.GetLineId())
	if err == nil && rows == 0 {
		err = &unknownError{account: req.GetAccountId(), line: req.GetLineId()}
	}
	if err != nil {
		return nil, edge(err, "")
	}
	return &pb.RemoveItemResponse{}, nil
}

// GetCart reads an account's cart.
func (s *Service) GetCart(ctx context.Context, req *pb.GetCartRequest) (*pb.GetCartResponse, error) {
	lines, err := list(ctx, s.db.SQL(), req.GetAccountId())
	if err != nil {
		return nil, edge(err, "")
	}
	return &pb.GetCartResponse{Lines: lines}, nil
}
