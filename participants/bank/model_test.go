package bank_test

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/participants/bank"
)

// model is what two banks should do, in memory.
type model struct {
	opened    int64                                // what was ever put in
	accounts  map[string]map[string]modelAccount   // by bank and id
	transfers map[string]map[string]*modelTransfer // by bank and request id
	byID      map[string]*modelTransfer
}

type modelAccount struct {
	balance  int64
	currency string
	closed   bool
}

type modelTransfer struct {
	bank   string
	req    *pb.TransferRequest
	status pb.TransferStatus
	booked bool
	reason string // why it was booked as not credited
}

// answer is a code, and the reason of its ErrorInfo.
type answer struct {
	code   codes.Code
	reason string
}

func newModel() *model {
	return &model{
		accounts:  map[string]map[string]modelAccount{"north": {}, "south": {}},
		transfers: map[string]map[string]*modelTransfer{"north": {}, "south": {}},
		byID:      make(map[string]*modelTransfer),
	}
}

func (m *model) open(bank string, req *pb.OpenAccountRequest) answer {
	if _, ok := m.accounts[bank][req.GetAccountId()]; ok {
		return answer{codes.AlreadyExists, "ACCOUNT_EXISTS"}
	}
	m.accounts[bank][req.GetAccountId()] = modelAccount{balance: req.GetBalance().GetAmount(), currency: req.GetBalance().GetCurrency()}
	m.opened += req.GetBalance().GetAmount()
	return answer{}
}

func (m *model) close(name string, req *pb.CloseAccountRequest) answer {
	a, ok := m.accounts[name][req.GetAccountId()]
	switch {
	case !ok:
		return answer{codes.NotFound, bank.ReasonUnknownAccount}
	case a.closed:
		return answer{codes.FailedPrecondition, bank.ReasonAccountClosed}
	case a.balance > 0:
		return answer{codes.FailedPrecondition, "ACCOUNT_NOT_EMPTY"}
	}
	a.closed = true
	m.accounts[name][req.GetAccountId()] = a
	return answer{}
}

// against is why money may not move in or out of an account, "" if it may.
func (m *model) against(name, id string, amount *commonpb.Money) string {
	a, ok := m.accounts[name][id]
	switch {
	case !ok:
		return bank.ReasonUnknownAccount
	case a.closed:
		return bank.ReasonAccountClosed
	case a.currency != amount.GetCurrency():
		return bank.ReasonCurrencyMismatch
	}
	return ""
}

func (m *model) add(name, id string, amount int64) {
	a := m.accounts[name][id]
	a.balance += amount
	m.accounts[name][id] = a
}

func (m *model) transfer(name string, req *pb.TransferRequest, f fault) answer {
	if t := m.transfers[name][req.GetRequestId()]; t != nil {
		if !proto.Equal(t.req, req) {
			return answer{codes.AlreadyExists, "REQUEST_ID_REUSED"}
		}
		return answer{}
	}
	reason := m.against(name, req.GetFromAccountId(), req.GetAmount())
	if reason == "" && m.accounts[name][req.GetFromAccountId()].balance < req.GetAmount().GetAmount() {
		reason = bank.ReasonInsufficientBalance
	}
	switch {
	case reason != "":
		return answer{codes.FailedPrecondition, reason}
	case f == away, f == commitLost:
		return answer{codes.Unavailable, "NOT_KNOWN"}
	case f == tooLarge:
		return answer{codes.Internal, ""}
	}
	m.add(name, req.GetFromAccountId(), -req.GetAmount().GetAmount())
	m.transfers[name][req.GetRequestId()] = &modelTransfer{bank: name, req: req, status: sent}
	return answer{}
}

// named tells the model the id of a request's transfer.
func (m *model) named(name, request, id string) { m.byID[id] = m.transfers[name][request] }

func (m *model) credit(asked *pb.TransferSent) {
	t := m.byID[asked.GetTransferId()]
	if t.booked {
		return
	}
	t.booked = true
	t.reason = m.against(t.req.GetToBank(), t.req.GetToAccountId(), t.req.GetAmount())
	if t.reason == "" {
		m.add(t.req.GetToBank(), t.req.GetToAccountId(), t.req.GetAmount().GetAmount())
	}
}

// settle returns an error if the answer is not what was booked.
func (m *model) settle(settled *pb.TransferSettled) error {
	t := m.byID[settled.GetTransferId()]
	if !t.booked || settled.GetReason() != t.reason || settled.GetCredited() != (t.reason == "") {
		return fmt.Errorf("the answer %v to a transfer booked as %q", settled, t.reason)
	}
	switch {
	case t.status != sent:
	case settled.GetCredited():
		t.status = credited
	default:
		t.status = refunded
		m.add(t.bank, t.req.GetFromAccountId(), t.req.GetAmount().GetAmount())
	}
	return nil
}

func (m *model) statuses(name string) map[string]pb.TransferStatus {
	all := make(map[string]pb.TransferStatus)
	for id, t := range m.transfers[name] {
		all[id] = t.status
	}
	return all
}
