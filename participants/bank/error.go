package bank

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/tcc"
)

// The reasons for which money is not moved.
const (
	ReasonUnknownAccount      = "UNKNOWN_ACCOUNT"
	ReasonAccountClosed       = "ACCOUNT_CLOSED"
	ReasonInsufficientBalance = "INSUFFICIENT_BALANCE"
	ReasonCurrencyMismatch    = "CURRENCY_MISMATCH"
	ReasonUnknownBank         = "UNKNOWN_BANK"
	ReasonBalanceOverflow     = "BALANCE_OVERFLOW"
)

// why is a reason of business against what was asked for.
type why struct {
	reason, message string
	metadata        map[string]string
}

func unknownAccount(id string) *why {
	return &why{ReasonUnknownAccount, fmt.Sprintf("there is no account %s", id), map[string]string{"account_id": id}}
}

func closedAccount(id string) *why {
	return &why{ReasonAccountClosed, fmt.Sprintf("account %s is closed", id), map[string]string{"account_id": id}}
}

// against says why money of a currency may not move in or out of an account,
// which is nil if there is none; nil if it may, as far as the amount does not
// matter.
func against(a *pb.Account, id, currency string) *why {
	switch {
	case a == nil:
		return unknownAccount(id)
	case a.GetClosed():
		return closedAccount(id)
	case a.GetBalance().GetCurrency() != currency:
		return &why{
			ReasonCurrencyMismatch, fmt.Sprintf("account %s is kept in %s, not in %s", id, a.GetBalance().GetCurrency(), currency),
			map[string]string{"account_id": id, "account_currency": a.GetBalance().GetCurrency(), "currency": currency},
		}
	}
	return nil
}

// againstDebit says why an account cannot be debited, nil if it can.
func againstDebit(a *pb.Account, id string, m *commonpb.Money) *why {
	if w := against(a, id, m.GetCurrency()); w != nil {
		return w
	}
	if has := a.GetBalance().GetAmount(); has < m.GetAmount() {
		return &why{
			ReasonInsufficientBalance, fmt.Sprintf("account %s has %d %s, %d are needed", id, has, m.GetCurrency(), m.GetAmount()),
			map[string]string{
				"account_id": id,
				"balance":    strconv.FormatInt(has, 10),
				"requested":  strconv.FormatInt(m.GetAmount(), 10),
			},
		}
	}
	return nil
}

// refusal is the answer to a call that may not be carried out.
type refusal struct {
	code  codes.Code
	why   *why
	cause error // may be nil
}

func refuse(code codes.Code, w *why) error { return &refusal{code: code, why: w} }

func (e *refusal) Error() string { return e.why.message }
func (e *refusal) Unwrap() error { return e.cause }

// changed says that an account was as it had to be right after it had not been:
// another transaction committed between two statements, and the next try may
// succeed.
func changed(id string) error {
	err := fmt.Errorf("account %s changed meanwhile", id)
	return tcc.Retry(messaging.Unavailable(err))
}

// edge turns the errors of this package into what callers see.
func edge(err error, requestID string) error {
	var no *refusal
	switch {
	case errors.As(err, &no):
		return rpc.Error(no.code, no.why.reason, no.why.message, no.why.metadata)
	case errors.Is(err, database.ErrReused):
		return rpc.Error(codes.AlreadyExists, "REQUEST_ID_REUSED", err.Error(), map[string]string{"request_id": requestID})
	}
	return database.Transient(err)
}
