package bank_test

import (
	"math"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/bank"
)

const (
	sent     = pb.TransferStatus_TRANSFER_STATUS_SENT
	credited = pb.TransferStatus_TRANSFER_STATUS_CREDITED
	refunded = pb.TransferStatus_TRANSFER_STATUS_REFUNDED
)

func TestTransferIsCredited(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		p.south.open("bob", 1)
		transfer := p.north.transfer(p.north.request(30))
		require.Equal(t, sent, transfer.GetStatus())
		require.Equal(t, "t-30", transfer.GetRequestId())
		require.NotZero(t, transfer.GetCreateTime().GetSeconds())
		p.north.requireBalance("ann", 70)
		p.south.requireBalance("bob", 1)
		p.settle()
		p.north.requireBalance("ann", 70)
		p.south.requireBalance("bob", 31)
		p.north.requireTransfer(transfer.GetTransferId(), credited, "")
		// Sent again, the request finds what became of it.
		again := p.north.transfer(p.north.request(30))
		require.Equal(t, transfer.GetTransferId(), again.GetTransferId())
		require.Equal(t, credited, again.GetStatus())
	})
}

func TestTransferIsRefunded(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 1000)
		p.south.open("closed", 0)
		p.south.close("closed")
		p.south.open("full", math.MaxInt64-10)
		_, err := p.south.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "usd", AccountId: "dollars", Balance: &commonpb.Money{Currency: "USD"}})
		require.NoError(t, err)
		for i, c := range []struct{ to, reason string }{
			{"nobody", bank.ReasonUnknownAccount},
			{"Closed", bank.ReasonUnknownAccount},
			{"closed", bank.ReasonAccountClosed},
			{"dollars", bank.ReasonCurrencyMismatch},
			{"full", bank.ReasonBalanceOverflow},
		} {
			req := p.north.request(100 + int64(i))
			req.ToAccountId = c.to
			transfer := p.north.transfer(req)
			p.north.requireBalance("ann", 900-int64(i))
			p.settle()
			p.north.requireTransfer(transfer.GetTransferId(), refunded, c.reason)
			p.north.requireBalance("ann", 1000)
			// The answer stays, also if the account could be credited now.
			require.Equal(t, refunded, p.north.transfer(req).GetStatus())
		}
		p.south.requireBalance("full", math.MaxInt64-10)
		p.south.requireBalance("dollars", 0)
		p.south.requireBalance("closed", 0)
	})
}

func TestARefundReachesAClosedAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 10)
		transfer := p.north.transfer(p.north.request(10))
		p.north.close("ann")
		p.settle()
		p.north.requireTransfer(transfer.GetTransferId(), refunded, bank.ReasonUnknownAccount)
		p.north.requireBalance("ann", 10)
	})
}

func TestTransferIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 10)
		p.north.open("closed", 0)
		p.north.close("closed")
		for name, c := range map[string]struct {
			change func(*pb.TransferRequest)
			reason string
		}{
			"balance":    {func(r *pb.TransferRequest) { r.Amount = eur(11) }, bank.ReasonInsufficientBalance},
			"largest":    {func(r *pb.TransferRequest) { r.Amount = eur(math.MaxInt64) }, bank.ReasonInsufficientBalance},
			"unknown":    {func(r *pb.TransferRequest) { r.FromAccountId = "Ann" }, bank.ReasonUnknownAccount},
			"closed":     {func(r *pb.TransferRequest) { r.FromAccountId = "closed" }, bank.ReasonAccountClosed},
			"currency":   {func(r *pb.TransferRequest) { r.Amount = &commonpb.Money{Amount: 1, Currency: "USD"} }, bank.ReasonCurrencyMismatch},
			"bank":       {func(r *pb.TransferRequest) { r.ToBank = "west" }, bank.ReasonUnknownBank},
			"to oneself": {func(r *pb.TransferRequest) { r.ToBank = "north" }, bank.ReasonUnknownBank},
		} {
			req := p.north.request(1)
			c.change(req)
			for range 2 {
				_, err := p.north.Transfer(t.Context(), req)
				rpctest.RequireStatus(t, err, codes.FailedPrecondition, c.reason)
			}
			require.Empty(t, p.north.posted(t.Context()), name)
		}
		require.Zero(t, p.north.sender.calls.Load(), "no half message is sent for nothing")
		p.north.requireBalance("ann", 10)
		// What was refused has not used its request_id up.
		require.Equal(t, sent, p.north.transfer(p.north.request(1)).GetStatus())
		req := p.north.request(1)
		req.ToAccountId = "carol"
		_, err := p.north.Transfer(t.Context(), req)
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
	})
}

// What was looked at before the message is no more than that: the debit has its
// own conditions.
func TestTheDebitDecides(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 10)
		for reason, change := range map[string]string{
			bank.ReasonInsufficientBalance: "balance = 9",
			bank.ReasonAccountClosed:       "closed = 1",
			bank.ReasonCurrencyMismatch:    "currency = 'USD'",
			bank.ReasonUnknownAccount:      "account_id = 'bob'",
		} {
			p.north.sender.before = func() {
				_, err := p.north.db.Exec(t.Context(), "UPDATE account SET "+change)
				require.NoError(t, err)
			}
			_, err := p.north.Transfer(t.Context(), p.north.request(10))
			rpctest.RequireStatus(t, err, codes.FailedPrecondition, reason)
			_, err = p.north.db.Exec(t.Context(), "UPDATE account SET account_id = 'ann', balance = 10, currency = 'EUR', closed = 0")
			require.NoError(t, err)
		}
		require.Empty(t, p.north.posted(t.Context()))
		require.Empty(t, p.north.books("").transfers)
		p.north.sender.before = nil
		p.north.transfer(p.north.request(10))
		p.north.requireBalance("ann", 0)
	})
}

// Whatever happens at the broker or to an answer, the same request finds out.
func TestATransferThatIsNotKnownIsFoundWhenSentAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 100)
		p.south.open("bob", 0)
		for _, f := range []fault{away, commitLost} {
			p.north.sender.next.Store(int32(f))
			for range 2 {
				_, err := p.north.Transfer(t.Context(), p.north.request(10))
				rpctest.RequireStatus(t, err, codes.Unavailable, "NOT_KNOWN")
			}
			p.north.requireBalance("ann", 100)
			require.Empty(t, p.north.posted(t.Context()))
		}
		p.north.sender.next.Store(int32(tooLarge))
		_, err := p.north.Transfer(t.Context(), p.north.request(10))
		rpctest.RequireStatus(t, err, codes.Internal, "")

		p.north.sender.next.Store(int32(answerLost))
		calls := p.north.sender.calls.Load()
		for range 2 {
			require.Equal(t, sent, p.north.transfer(p.north.request(10)).GetStatus())
		}
		require.Equal(t, calls+1, p.north.sender.calls.Load())
		p.north.requireBalance("ann", 90)
		p.settle()
		p.south.requireBalance("bob", 10)
	})
}

// A request that is sent twice at once, with all that the account has, must not
// be told that it was refused when it was carried out.
func TestOneTransferAtOnce(t *testing.T) {
	t.Parallel()
	eachLocking(t, func(t *testing.T, p *pair) {
		for i := range 50 {
			account := "ann-" + strconv.Itoa(i)
			p.north.open(account, 1)
			req := &pb.TransferRequest{RequestId: account, FromAccountId: account, ToBank: p.north.peer, ToAccountId: "bob", Amount: eur(1)}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					_, err := p.north.Transfer(t.Context(), req)
					for status.Code(err) == codes.Unavailable {
						_, err = p.north.Transfer(t.Context(), req)
					}
					assert.NoError(t, err, account)
				})
			}
			all.Wait()
		}
	})
}

// The same requests from many callers at once, some of which cannot be paid.
func TestTransfersAtOnce(t *testing.T) {
	t.Parallel()
	eachLocking(t, func(t *testing.T, p *pair) {
		p.north.open("ann", 5)
		p.south.open("bob", 0)
		var mu sync.Mutex
		ids := make(map[string]bool)
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				resp, err := p.north.Transfer(t.Context(), p.north.request(int64(i%4)+1)) // 1 + 2 + 3 + 4 > 5
				for status.Code(err) == codes.Unavailable {
					resp, err = p.north.Transfer(t.Context(), p.north.request(int64(i%4)+1))
				}
				if err != nil {
					if reason, _ := rpctest.Reason(err); reason != bank.ReasonInsufficientBalance {
						t.Errorf("%v", err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[resp.GetTransfer().GetTransferId()] = true
			})
		}
		all.Wait()
		letters := p.north.posted(t.Context())
		require.Len(t, letters, len(ids), "one message for a transfer")
		for _, l := range letters {
			require.NoError(t, p.deliver(l))
		}
		p.settle()
		require.Equal(t, int64(5), total(p.north.books(""), p.south.books("")))
	})
}
