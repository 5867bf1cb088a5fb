package cart

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"

	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
)

// The reasons with which calls are refused, besides REQUEST_ID_REUSED.
const (
	ReasonCartFull    = "CART_FULL"
	ReasonUnknownLine = "UNKNOWN_LINE"
)

type fullError struct{ account string }

func (e *fullError) Error() string {
	return fmt.Sprintf("the cart of account %s has %d lines: order or remove some first", e.account, MaxLines)
}

type unknownError struct{ account, line string }

func (e *unknownError) Error() string {
	return fmt.Sprintf("there is no line %s in the cart of account %s: it was removed or ordered, or never there", e.line, e.account)
}

// edge turns the errors of this package into what callers see.
func edge(err error, requestID string) error {
	var (
		full    *fullError
		unknown *unknownError
	)
	switch {
	case errors.As(err, &full):
		return rpc.Error(codes.ResourceExhausted, ReasonCartFull, full.Error(),
			map[string]string{"account_id": full.account, "max_lines": strconv.Itoa(MaxLines)})
	case errors.As(err, &unknown):
		return rpc.Error(codes.NotFound, ReasonUnknownLine, unknown.Error(),
			map[string]string{"account_id": unknown.account, "line_id": unknown.line})
	case errors.Is(err, database.ErrReused):
		return rpc.Error(codes.AlreadyExists, "REQUEST_ID_REUSED", err.Error(), map[string]string{"request_id": requestID})
	}
	return database.Transient(err)
}
