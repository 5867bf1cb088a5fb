package stock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
)

// PutItem adds to an item's stock and sets its price; the item is made if it is
// new.
func (s *Service) PutItem(ctx context.Context, req *pb.PutItemRequest) (*pb.PutItemResponse, error) {
	sku, add, price := req.GetSku(), req.GetAdd(), req.GetPrice()
	body := database.Fingerprint("PutItem", sku, strconv.FormatInt(add, 10), strconv.FormatInt(price.GetAmount(), 10), price.GetCurrency())
	resp, err := database.Once(ctx, s.db, req.GetRequestId(), body, func(ctx context.Context, tx *sql.Tx) (*pb.PutItemResponse, error) {
		item, err := findForUpdate(ctx, tx, s.db.Dialect(), sku)
		var unknown *unknownError
		if errors.As(err, &unknown) {
			// If another request makes it in between, Once comes again.
			return &pb.PutItemResponse{AvailableAfter: add}, insert(ctx, tx, s.db.Dialect(), sku, price, add)
		}
		if err != nil {
			return nil, err
		}
		// The three counts together must fit, for pieces move between them.
		if add > math.MaxInt64-item.GetAvailable()-item.GetReserved()-item.GetSold() {
			return nil, &overflowError{sku: sku, add: add}
		}
		after := item.GetAvailable() + add
		_, err = tx.ExecContext(ctx, "UPDATE item SET available = ?, price_amount = ?, currency = ? WHERE sku = ?", after, price.GetAmount(), price.GetCurrency(), sku)
		return &pb.PutItemResponse{AvailableAfter: after}, err
	})
	return resp, edge(err, req.GetRequestId())
}

type unknownError struct{ sku string }

func (e *unknownError) Error() string { return fmt.Sprintf("there is no item %s", e.sku) }

type overflowError struct {
	sku string
	add int64
}

func (e *overflowError) Error() string {
	return fmt.Sprintf("item %s cannot hold %d more: what was ever put in must stay below 2^63", e.sku, e.add)
}

// edge turns the errors of this package into what callers outside any
// transaction see.
func edge(err error, requestID string) error {
	var (
		unknown  *unknownError
		overflow *overflowError
	)
	switch {
	case errors.As(err, &unknown):
		return rpc.Error(codes.NotFound, ReasonUnknownSKU, unknown.Error(), map[string]string{"sku": unknown.sku})
	case errors.As(err, &overflow):
		return rpc.Error(codes.OutOfRange, "STOCK_OVERFLOW", overflow.Error(), map[string]string{"sku": overflow.sku})
	case errors.Is(err, database.ErrReused):
		return rpc.Error(codes.AlreadyExists, "REQUEST_ID_REUSED", err.Error(), map[string]string{"request_id": requestID})
	}
	return database.Transient(err)
}
