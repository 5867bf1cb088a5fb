package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/tcc"
)

// The reasons for which TryReserve is rejected.
const (
	ReasonUnknownSKU        = "UNKNOWN_SKU"
	ReasonInsufficientStock = "INSUFFICIENT_STOCK"
	ReasonPriceChanged      = "PRICE_CHANGED"
)

// TryReserve reserves every line or none.
func (s *Service) TryReserve(ctx context.Context, req *pb.ReserveRequest) (*pb.TryReserveResponse, error) {
	return barrier.Try(ctx, s.db.Barrier(), req, func(_ context.Context, tx barrier.Tx) (*pb.TryReserveResponse, error) {
		for _, l := range req.GetLines() {
			tx.Queue(barrier.Stmt{
				Query:     "UPDATE item SET available = available - ?, reserved = reserved + ? WHERE sku = ? AND price_amount = ? AND currency = ? AND available >= ?",
				Args:      []any{l.GetQuantity(), l.GetQuantity(), l.GetSku(), l.GetPrice().GetAmount(), l.GetPrice().GetCurrency(), l.GetQuantity()},
				Key:       l.GetSku(),
				Rows:      1,
				Otherwise: func(ctx context.Context, tx barrier.Tx) error { return whyNot(ctx, tx, l) },
			})
		}
		return &pb.TryReserveResponse{}, nil
	})
}

// whyNot says why a line cannot be reserved.
func whyNot(ctx context.Context, tx barrier.Tx, l *pb.ReserveLine) error {
	sku := l.GetSku()
	item, err := find(ctx, tx, sku)
	var unknown *unknownError
	switch {
	case errors.As(err, &unknown):
		return tcc.Reject(ReasonUnknownSKU, unknown.Error(), map[string]string{"sku": sku})
	case err != nil:
		return err
	}
	price, quoted := item.GetPrice(), l.GetPrice()
	switch {
	case price.GetAmount() != quoted.GetAmount() || price.GetCurrency() != quoted.GetCurrency():
		return tcc.Reject(ReasonPriceChanged,
			fmt.Sprintf("%s costs %d %s, not %d %s as quoted", sku, price.GetAmount(), price.GetCurrency(), quoted.GetAmount(), quoted.GetCurrency()),
			map[string]string{
				"sku":             sku,
				"price":           strconv.FormatInt(price.GetAmount(), 10),
				"currency":        price.GetCurrency(),
				"quoted":          strconv.FormatInt(quoted.GetAmount(), 10),
				"quoted_currency": quoted.GetCurrency(),
			})
	case item.GetAvailable() < l.GetQuantity():
		return tcc.Reject(ReasonInsufficientStock,
			fmt.Sprintf("%d of %s are available, %d are needed", item.GetAvailable(), sku, l.GetQuantity()),
			map[string]string{
				"sku":       sku,
				"available": strconv.FormatInt(item.GetAvailable(), 10),
				"requested": strconv.FormatInt(l.GetQuantity(), 10),
			})
	}
	// It is there now: somebody gave pieces back between the two statements.
	return tcc.Retry(fmt.Errorf("item %s changed while it was reserved", sku))
}

// ConfirmReserve sells what TryReserve reserved.
func (s *Service) ConfirmReserve(ctx context.Context, req *pb.ReserveRequest) (*pb.ConfirmReserveResponse, error) {
	err := s.finish(ctx, req, barrier.Confirm, "UPDATE item SET reserved = reserved - ?, sold = sold + ? WHERE sku = ? AND reserved >= ?")
	if err != nil {
		return nil, err
	}
	return &pb.ConfirmReserveResponse{}, nil
}

// CancelReserve gives back what TryReserve reserved.
func (s *Service) CancelReserve(ctx context.Context, req *pb.ReserveRequest) (*pb.CancelReserveResponse, error) {
	err := s.finish(ctx, req, barrier.Cancel, "UPDATE item SET reserved = reserved - ?, available = available + ? WHERE sku = ? AND reserved >= ?")
	if err != nil {
		return nil, err
	}
	return &pb.CancelReserveResponse{}, nil
}

// phase is barrier.Confirm or barrier.Cancel.
type phase = func(context.Context, barrier.Store, func(context.Context, barrier.Tx) error) error

func (s *Service) finish(ctx context.Context, req *pb.ReserveRequest, run phase, query string) error {
	// The rules of the proto are Try's; this one keeps goods from being made.
	for _, l := range req.GetLines() {
		if l.GetQuantity() <= 0 {
			return tcc.Invalidf("the quantity of %q is %d, it must be positive", l.GetSku(), l.GetQuantity())
		}
	}
	return run(ctx, s.db.Barrier(), func(_ context.Context, tx barrier.Tx) error {
		for _, l := range req.GetLines() {
			n := l.GetQuantity()
			tx.Queue(barrier.Stmt{Query: query, Args: []any{n, n, l.GetSku(), n}, Key: l.GetSku(), Rows: 1})
		}
		return nil
	})
}
