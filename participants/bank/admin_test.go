package bank_test

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/bank"
)

func TestOpenAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		req := &pb.OpenAccountRequest{RequestId: "r1", AccountId: "a", Balance: eur(5)}
		for range 2 {
			resp, err := p.north.OpenAccount(t.Context(), req)
			require.NoError(t, err)
			require.Equal(t, int64(5), resp.GetAccount().GetBalance().GetAmount())
		}
		_, err := p.north.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r1", AccountId: "a", Balance: eur(6)})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
		_, err = p.north.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r2", AccountId: "a", Balance: eur(5)})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "ACCOUNT_EXISTS")
		p.north.requireBalance("a", 5)
		_, err = p.south.GetAccount(t.Context(), &pb.GetAccountRequest{AccountId: "a"})
		rpctest.RequireStatus(t, err, codes.NotFound, bank.ReasonUnknownAccount)
		_, err = p.north.GetAccount(t.Context(), &pb.GetAccountRequest{AccountId: "A"})
		rpctest.RequireStatus(t, err, codes.NotFound, bank.ReasonUnknownAccount)
	})
}

func TestOpenAccountAtOnce(t *testing.T) {
	t.Parallel()
	eachLocking(t, func(t *testing.T, p *pair) {
		var all sync.WaitGroup
		same, other := make([]error, 8), make([]error, 8)
		for i := range same {
			all.Go(func() {
				_, same[i] = p.north.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r", AccountId: "a", Balance: eur(1)})
			})
			all.Go(func() {
				_, other[i] = p.north.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r" + strconv.Itoa(i), AccountId: "b", Balance: eur(1)})
			})
		}
		all.Wait()
		opened := 0
		for i := range same {
			require.NoError(t, same[i])
			if other[i] == nil {
				opened++
				continue
			}
			rpctest.RequireStatus(t, other[i], codes.AlreadyExists, "ACCOUNT_EXISTS")
		}
		require.Equal(t, 1, opened)
	})
}

func TestCloseAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("full", 1)
		p.north.open("empty", 0)
		for range 2 {
			_, err := p.north.CloseAccount(t.Context(), &pb.CloseAccountRequest{RequestId: "c1", AccountId: "full"})
			rpctest.RequireStatus(t, err, codes.FailedPrecondition, "ACCOUNT_NOT_EMPTY")
			_, err = p.north.CloseAccount(t.Context(), &pb.CloseAccountRequest{RequestId: "c2", AccountId: "none"})
			rpctest.RequireStatus(t, err, codes.NotFound, bank.ReasonUnknownAccount)
			_, err = p.north.CloseAccount(t.Context(), &pb.CloseAccountRequest{RequestId: "c3", AccountId: "empty"})
			require.NoError(t, err)
		}
		_, err := p.north.CloseAccount(t.Context(), &pb.CloseAccountRequest{RequestId: "c4", AccountId: "empty"})
		rpctest.RequireStatus(t, err, codes.FailedPrecondition, bank.ReasonAccountClosed)
		resp, err := p.north.GetAccount(t.Context(), &pb.GetAccountRequest{AccountId: "empty"})
		require.NoError(t, err)
		require.True(t, resp.GetAccount().GetClosed())
	})
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		long := strings.Repeat("x", 65)
		open := func(r *pb.OpenAccountRequest) error { _, err := p.north.OpenAccount(t.Context(), r); return err }
		transfer := func(change func(*pb.TransferRequest)) error {
			r := p.north.request(1)
			change(r)
			_, err := p.north.Transfer(t.Context(), r)
			return err
		}
		for name, err := range map[string]error{
			"id too long":         open(&pb.OpenAccountRequest{RequestId: "r", AccountId: long, Balance: eur(0)}),
			"request id too long": open(&pb.OpenAccountRequest{RequestId: long, AccountId: "b", Balance: eur(0)}),
			"not ASCII":           open(&pb.OpenAccountRequest{RequestId: "r", AccountId: "ä", Balance: eur(0)}),
			"currency":            open(&pb.OpenAccountRequest{RequestId: "r", AccountId: "b", Balance: &commonpb.Money{Currency: "euro"}}),
			"negative balance":    open(&pb.OpenAccountRequest{RequestId: "r", AccountId: "b", Balance: eur(-1)}),
			"no balance":          open(&pb.OpenAccountRequest{RequestId: "r", AccountId: "b"}),
			"nothing":             transfer(func(r *pb.TransferRequest) { r.Amount = eur(0) }),
			"negative":            transfer(func(r *pb.TransferRequest) { r.Amount = eur(-1) }),
			"least":               transfer(func(r *pb.TransferRequest) { r.Amount = eur(math.MinInt64) }),
			"no amount":           transfer(func(r *pb.TransferRequest) { r.Amount = nil }),
			"no bank":             transfer(func(r *pb.TransferRequest) { r.ToBank = "" }),
			"no account":          transfer(func(r *pb.TransferRequest) { r.ToAccountId = "" }),
			"no request id":       transfer(func(r *pb.TransferRequest) { r.RequestId = "" }),
		} {
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		_, err := p.north.GetTransfer(t.Context(), &pb.GetTransferRequest{TransferId: "none"})
		rpctest.RequireStatus(t, err, codes.NotFound, "UNKNOWN_TRANSFER")
		require.Empty(t, p.north.posted(t.Context()))
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := bank.New(bank.Config{Name: "North", Peers: []string{"North", "a:b"}})
	for _, text := range []string{`"North" is not valid`, `"a:b" is not valid`, "among its own peers", "no DB", "no Outbox", "no Sender"} {
		require.ErrorContains(t, err, text)
	}
	_, err = bank.NewOutboxSender(nil, nil)
	require.Error(t, err)
}
