package account_test

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/account/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/account"
)

func TestOpenAccount(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		req := &pb.OpenAccountRequest{RequestId: "r1", AccountId: "a", Currency: "EUR"}
		for range 2 {
			resp, err := b.OpenAccount(t.Context(), req)
			require.NoError(t, err)
			require.Equal(t, "EUR", resp.GetAccount().GetCurrency())
		}
		_, err := b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r1", AccountId: "a", Currency: "USD"})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
		_, err = b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r2", AccountId: "a", Currency: "EUR"})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "ACCOUNT_EXISTS")
		_, err = b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "r1", AccountId: "a", Amount: eur(1)})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
		b.requireSums("a", 0, 0, 0)
	})
}

func TestOpenAccountAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var all sync.WaitGroup
		same, other := make([]error, 8), make([]error, 8)
		for i := range same {
			all.Go(func() {
				_, same[i] = b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r", AccountId: "a", Currency: "EUR"})
			})
			all.Go(func() {
				_, other[i] = b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r" + strconv.Itoa(i), AccountId: "b", Currency: "EUR"})
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

func TestDeposit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 0)
		for range 3 {
			resp, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d1", AccountId: "a", Amount: eur(70)})
			require.NoError(t, err)
			require.Equal(t, int64(70), resp.GetBalanceAfter())
		}
		resp, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d2", AccountId: "a", Amount: eur(5)})
		require.NoError(t, err)
		require.Equal(t, int64(75), resp.GetBalanceAfter())
		_, err = b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d1", AccountId: "a", Amount: eur(71)})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
		b.requireSums("a", 75, 0, 0)
	})
}

// A retried deposit must not create money, however it is retried.
func TestDepositsAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 0)
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				_, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d" + strconv.Itoa(i%6), AccountId: "a", Amount: eur(10)})
				if err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		b.requireSums("a", 60, 0, 0)
	})
}

func TestDepositRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 100)
		_, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d1", AccountId: "none", Amount: eur(1)})
		rpctest.RequireStatus(t, err, codes.NotFound, account.ReasonUnknownAccount)
		_, err = b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d1", AccountId: "a", Amount: &commonpb.Money{Amount: 1, Currency: "USD"}})
		rpctest.RequireStatus(t, err, codes.FailedPrecondition, account.ReasonCurrencyMismatch)
		_, err = b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d1", AccountId: "a", Amount: eur(math.MaxInt64)})
		rpctest.RequireStatus(t, err, codes.OutOfRange, "BALANCE_OVERFLOW")
		b.requireSums("a", 100, 0, 0)
		resp, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "d1", AccountId: "a", Amount: eur(math.MaxInt64 - 100)})
		require.NoError(t, err, "what was refused has not used its request_id up")
		require.Equal(t, int64(math.MaxInt64), resp.GetBalanceAfter())
	})
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.open("a", 1)
		long := strings.Repeat("x", 65)
		for name, call := range map[string]func() error{
			"id too long": func() error {
				_, err := b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r", AccountId: long, Currency: "EUR"})
				return err
			},
			"request id too long": func() error {
				_, err := b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: long, AccountId: "b", Currency: "EUR"})
				return err
			},
			"not ASCII": func() error {
				_, err := b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r", AccountId: "ä", Currency: "EUR"})
				return err
			},
			"currency": func() error {
				_, err := b.OpenAccount(t.Context(), &pb.OpenAccountRequest{RequestId: "r", AccountId: "b", Currency: "euro"})
				return err
			},
			"negative": func() error {
				_, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "r", AccountId: "a", Amount: eur(-1)})
				return err
			},
			"nothing": func() error {
				_, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "r", AccountId: "a", Amount: eur(0)})
				return err
			},
			"no amount": func() error {
				_, err := b.Deposit(t.Context(), &pb.DepositRequest{RequestId: "r", AccountId: "a"})
				return err
			},
			"no id": func() error {
				_, err := b.GetAccount(t.Context(), &pb.GetAccountRequest{})
				return err
			},
			"not UTF-8": func() error {
				return b.conn.Invoke(t.Context(), pb.AccountService_GetAccount_FullMethodName, []byte{0x0a, 0x01, 0xff}, nil, grpc.ForceCodec(rpctest.Bytes{}))
			},
		} {
			err := call()
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		_, err := b.GetAccount(t.Context(), &pb.GetAccountRequest{AccountId: "none"})
		rpctest.RequireStatus(t, err, codes.NotFound, account.ReasonUnknownAccount)
		var n int
		require.NoError(t, b.db.SQL().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM account").Scan(&n))
		require.Equal(t, 1, n)
		b.requireSums("a", 1, 0, 0)
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := account.New(account.Config{})
	require.ErrorContains(t, err, "no DB")
}
