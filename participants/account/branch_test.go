package account_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/account"
	"github.com/tcckit/tcckit/tcc"
)

func TestDebit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 100)
		req := &pb.DebitRequest{AccountId: "a", Amount: eur(30)}

		confirmed := branch()
		for range 2 {
			_, err := b.TryDebit(b.in(confirmed, tcc.Try), req)
			require.NoError(t, err)
			b.requireSums("a", 70, 30, 0)
		}
		for range 2 {
			_, err := b.ConfirmDebit(b.in(confirmed, tcc.Confirm), req)
			require.NoError(t, err)
			b.requireSums("a", 70, 0, 30)
		}

		cancelled := branch()
		_, err := b.TryDebit(b.in(cancelled, tcc.Try), req)
		require.NoError(t, err)
		b.requireSums("a", 40, 30, 30)
		for range 2 {
			_, err = b.CancelDebit(b.in(cancelled, tcc.Cancel), req)
			require.NoError(t, err)
			b.requireSums("a", 70, 0, 30)
		}
		_, err = b.ConfirmDebit(b.in(cancelled, tcc.Confirm), req)
		rpctest.RequireStatus(t, err, codes.Internal, tcc.ReasonConflict)
		b.requireSums("a", 70, 0, 30)
	})
}

func TestDebitIsRejected(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 100)
		for name, c := range map[string]struct {
			req      *pb.DebitRequest
			reason   string
			metadata map[string]string
		}{
			"unknown": {
				&pb.DebitRequest{AccountId: "none", Amount: eur(1)}, account.ReasonUnknownAccount,
				map[string]string{"account_id": "none"},
			},
			"told apart by case": {
				&pb.DebitRequest{AccountId: "A", Amount: eur(1)}, account.ReasonUnknownAccount,
				map[string]string{"account_id": "A"},
			},
			"balance": {
				&pb.DebitRequest{AccountId: "a", Amount: eur(101)}, account.ReasonInsufficientBalance,
				map[string]string{"account_id": "a", "available": "100", "requested": "101"},
			},
			"largest": {
				&pb.DebitRequest{AccountId: "a", Amount: eur(math.MaxInt64)}, account.ReasonInsufficientBalance,
				map[string]string{"account_id": "a", "available": "100", "requested": "9223372036854775807"},
			},
			"currency": {
				&pb.DebitRequest{AccountId: "a", Amount: &commonpb.Money{Amount: 1, Currency: "USD"}}, account.ReasonCurrencyMismatch,
				map[string]string{"account_id": "a", "account_currency": "EUR", "currency": "USD"},
			},
		} {
			t.Run(name, func(t *testing.T) {
				br := branch()
				for range 2 { // a duplicate gets the same rejection
					_, err := b.TryDebit(b.in(br, tcc.Try), c.req)
					rpctest.RequireStatus(t, err, codes.Aborted, c.reason)
					_, metadata := rpctest.Reason(err)
					require.Equal(t, c.metadata, metadata)
				}
				_, err := b.CancelDebit(b.in(br, tcc.Cancel), c.req)
				require.NoError(t, err)
				b.requireSums("a", 100, 0, 0)
			})
		}
	})
}

func TestDebitRefusesBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 100)
		for name, req := range map[string]*pb.DebitRequest{
			"no amount":   {AccountId: "a"},
			"nothing":     {AccountId: "a", Amount: eur(0)},
			"negative":    {AccountId: "a", Amount: eur(-1)},
			"no account":  {Amount: eur(1)},
			"no currency": {AccountId: "a", Amount: &commonpb.Money{Amount: 1}},
		} {
			_, err := b.TryDebit(b.in(branch(), tcc.Try), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		_, err := b.TryDebit(t.Context(), &pb.DebitRequest{AccountId: "a", Amount: eur(1)})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
		require.ErrorContains(t, err, "belongs to no global transaction")

		// A Confirm is not validated, but makes no money.
		br := branch()
		_, err = b.TryDebit(b.in(br, tcc.Try), &pb.DebitRequest{AccountId: "a", Amount: eur(10)})
		require.NoError(t, err)
		_, err = b.ConfirmDebit(b.in(br, tcc.Confirm), &pb.DebitRequest{AccountId: "a", Amount: eur(-10)})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
		b.requireSums("a", 90, 10, 0)
	})
}

// 32 callers debit one account until nothing is left.
func TestDebitsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		const balance, callers = 100, 32
		b.open("a", balance)
		var confirmed atomic.Int64
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for n := range 6 {
					br, req := branch(), &pb.DebitRequest{AccountId: "a", Amount: eur(1)}
					_, err := b.TryDebit(b.in(br, tcc.Try), req)
					if reason, _ := rpctest.Reason(err); err != nil && reason != account.ReasonInsufficientBalance && status.Code(err) != codes.Unavailable {
						t.Errorf("%v", err)
					}
					if err == nil && n%5 > 0 {
						confirmed.Add(1)
						err = untilAvailable(func() error { _, err := b.ConfirmDebit(b.in(br, tcc.Confirm), req); return err })
					} else {
						err = untilAvailable(func() error { _, err := b.CancelDebit(b.in(br, tcc.Cancel), req); return err })
					}
					if err != nil {
						t.Errorf("%v", err)
					}
				}
			})
		}
		all.Wait()
		spent := confirmed.Load()
		require.LessOrEqual(t, spent, int64(balance))
		b.requireSums("a", balance-spent, 0, spent)
	})
}

// untilAvailable calls again while a call says that nothing happened for a
// reason that passes, as the coordinator does: on a busy machine rows may be
// waited for longer than a call may take.
func untilAvailable(call func() error) (err error) {
	for range 20 {
		if err = call(); status.Code(err) != codes.Unavailable {
			return err
		}
	}
	return err
}
