package order

import (
	"context"
	"errors"
	"fmt"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	pb "github.com/tcckit/tcckit/api/gen/tcckit/order/v1"
	stockpb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/tcc"
)

// The reasons that come up while an order is priced.
const (
	reasonUnknownSKU       = "UNKNOWN_SKU"
	reasonCurrencyMismatch = "CURRENCY_MISMATCH"
)

// quote is an order with its prices.
type quote struct {
	lines []*pb.OrderLine
	total *commonpb.Money
}

// quote asks the stock for the prices of lines. A *tcc.Rejection is a business
// no; any other error is a status.
func (s *Service) quote(ctx context.Context, lines []*pb.LineItem) (quote, error) {
	skus := make([]string, len(lines))
	for i, l := range lines {
		skus[i] = l.GetSku()
	}
	resp, err := s.stock.ListItems(ctx, &stockpb.ListItemsRequest{Skus: skus, PageSize: int32(len(skus))})
	if err != nil {
		return quote{}, s.unpriced(ctx, err)
	}
	prices := make(map[string]*commonpb.Money, len(lines))
	for _, item := range resp.GetItems() {
		prices[item.GetSku()] = item.GetPrice()
	}
	return price(lines, prices)
}

// unpriced says that the stock could not be asked.
func (s *Service) unpriced(ctx context.Context, err error) error {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return &notMadeError{why: "the stock service, which knows the prices, does not answer", passes: true, cause: err}
	}
	s.cfg.Logger.ErrorContext(ctx, "the stock service does not tell prices", "error", err)
	return &notMadeError{why: "the stock service, which knows the prices, failed", cause: err}
}

// price makes a quote.
func price(lines []*pb.LineItem, prices map[string]*commonpb.Money) (quote, error) {
	q := quote{lines: make([]*pb.OrderLine, len(lines))}
	for i, l := range lines {
		p, ok := prices[l.GetSku()]
		if !ok {
			return quote{}, tcc.Reject(reasonUnknownSKU, fmt.Sprintf("there is no item %s", l.GetSku()), map[string]string{"sku": l.GetSku()})
		}
		q.lines[i] = &pb.OrderLine{Sku: l.GetSku(), Quantity: l.GetQuantity(), Price: p}
	}
	var err error
	var mixed *mixedError
	switch q.total, err = sum(q.lines); {
	case errors.As(err, &mixed):
		return quote{}, tcc.Reject(reasonCurrencyMismatch, mixed.Error(), map[string]string{"sku": mixed.sku, "currency": mixed.got, "order_currency": mixed.want})
	case err != nil:
		return quote{}, rpc.Error(codes.OutOfRange, "TOTAL_OUT_OF_RANGE", err.Error(), nil)
	case q.total.GetAmount() == 0:
		return quote{}, rpc.Error(codes.InvalidArgument, "NOTHING_TO_PAY", "the order's total is 0: there is nothing to debit", nil)
	}
	return q, nil
}

type mixedError struct{ sku, got, want string }

func (e *mixedError) Error() string {
	return fmt.Sprintf("%s is priced in %s, and the items before it in %s: an order has one currency", e.sku, e.got, e.want)
}

var errTotal = errors.New("the order's total is 2^63 minor units or more")

// sum adds the lines up. Its error is errTotal, or a *mixedError if they are not
// in one currency.
func sum(lines []*pb.OrderLine) (*commonpb.Money, error) {
	if len(lines) == 0 {
		return nil, errors.New("the order has no lines")
	}
	total := &commonpb.Money{Currency: lines[0].GetPrice().GetCurrency()}
	for _, l := range lines {
		n, p := l.GetQuantity(), l.GetPrice().GetAmount()
		switch {
		case l.GetPrice().GetCurrency() != total.GetCurrency():
			return nil, &mixedError{sku: l.GetSku(), got: l.GetPrice().GetCurrency(), want: total.GetCurrency()}
		case n <= 0 || p < 0:
			return nil, fmt.Errorf("%d of %s at %d: the quantity must be positive and the price not negative", n, l.GetSku(), p)
		case p > math.MaxInt64/n, n*p > math.MaxInt64-total.Amount:
			return nil, errTotal
		}
		total.Amount += n * p
	}
	return total, nil
}
