package cart_test

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/cart"
)

func TestAddItem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		require.Empty(t, b.lines("ann"), "who was never seen")
		req := &pb.AddItemRequest{RequestId: "r1", AccountId: "ann", Sku: "apple", Quantity: 3}
		first, err := b.AddItem(t.Context(), req)
		require.NoError(t, err)
		again, err := b.AddItem(t.Context(), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(first, again), "%v, %v", first, again)
		require.Equal(t, "apple", first.GetLine().GetSku())
		require.Equal(t, int64(3), first.GetLine().GetQuantity())
		require.True(t, first.GetLine().GetCreateTime().IsValid())

		_, err = b.AddItem(t.Context(), &pb.AddItemRequest{RequestId: "r1", AccountId: "ann", Sku: "apple", Quantity: 4})
		rpctest.RequireStatus(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
		_, err = b.AddItem(t.Context(), &pb.AddItemRequest{RequestId: "r1", AccountId: "bob", Sku: "pear", Quantity: 1})
		require.NoError(t, err, "another account's request ids are its own")

		cart, err := b.GetCart(t.Context(), &pb.GetCartRequest{AccountId: "ann"})
		require.NoError(t, err)
		require.True(t, proto.Equal(&pb.GetCartResponse{Lines: []*pb.CartLine{first.GetLine()}}, cart), "%v", cart)
	})
}

func TestTheSameItemIsALineEachTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		want := []string{b.add("ann", "r1"), b.add("ann", "r2"), b.add("ann", "r3")}
		require.Equal(t, want, b.lines("ann"), "oldest first")
	})
}

func TestAddItemAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				_, err := b.AddItem(t.Context(), &pb.AddItemRequest{RequestId: "r" + strconv.Itoa(i%6), AccountId: "ann", Sku: "apple", Quantity: 1})
				if err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		require.Len(t, b.lines("ann"), 6)
	})
}

func TestRemoveItem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		first, second := b.add("ann", "r1"), b.add("ann", "r2")
		_, err := b.RemoveItem(t.Context(), &pb.RemoveItemRequest{AccountId: "bob", LineId: first})
		rpctest.RequireStatus(t, err, codes.NotFound, cart.ReasonUnknownLine)
		_, err = b.RemoveItem(t.Context(), &pb.RemoveItemRequest{AccountId: "ann", LineId: first})
		require.NoError(t, err)
		_, err = b.RemoveItem(t.Context(), &pb.RemoveItemRequest{AccountId: "ann", LineId: first})
		rpctest.RequireStatus(t, err, codes.NotFound, cart.ReasonUnknownLine)
		require.Equal(t, first, b.add("ann", "r1"), "a request that is sent again puts nothing back")
		require.Equal(t, []string{second}, b.lines("ann"))
	})
}

func TestACartIsFull(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.fill("ann", cart.MaxLines-1)
		last := b.add("ann", "r1")
		req := &pb.AddItemRequest{RequestId: "r2", AccountId: "ann", Sku: "apple", Quantity: 1}
		_, err := b.AddItem(t.Context(), req)
		rpctest.RequireStatus(t, err, codes.ResourceExhausted, cart.ReasonCartFull)
		require.Len(t, b.lines("ann"), cart.MaxLines)
		require.Equal(t, last, b.add("ann", "r1"), "what was answered once is answered again")

		_, err = b.RemoveItem(t.Context(), &pb.RemoveItemRequest{AccountId: "ann", LineId: last})
		require.NoError(t, err)
		_, err = b.AddItem(t.Context(), req)
		require.NoError(t, err, "what was refused has not used its request_id up")
		b.add("bob", "r1")
	})
}

// fill puts n lines into an account's cart.
func (b *bundle) fill(account string, n int) {
	b.t.Helper()
	require.NoError(b.t, b.db.Transact(b.t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		rows := strings.TrimSuffix(strings.Repeat("(?, ?, 'apple', 1, 0),", n), ",")
		var args []any
		for i := range n {
			args = append(args, account, "line-"+strconv.Itoa(i))
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO cart_line (account_id, line_id, sku, quantity, created_at) VALUES "+rows, args...)
		return err
	}))
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		good := &pb.AddItemRequest{RequestId: "r", AccountId: "a", Sku: "s", Quantity: 1}
		for name, change := range map[string]func(*pb.AddItemRequest){
			"no request id":        func(r *pb.AddItemRequest) { r.RequestId = "" },
			"request id too long":  func(r *pb.AddItemRequest) { r.RequestId = strings.Repeat("x", 65) },
			"request id and slash": func(r *pb.AddItemRequest) { r.RequestId = "a/r" },
			"account and slash":    func(r *pb.AddItemRequest) { r.AccountId = "a/r" },
			"not ASCII":            func(r *pb.AddItemRequest) { r.Sku = "äpfel" },
			"nothing":              func(r *pb.AddItemRequest) { r.Quantity = 0 },
			"negative":             func(r *pb.AddItemRequest) { r.Quantity = -1 },
			"too many":             func(r *pb.AddItemRequest) { r.Quantity = 1_000_001 },
		} {
			req := proto.CloneOf(good)
			change(req)
			_, err := b.AddItem(t.Context(), req)
			require.Equal(t, codes.InvalidArgument, status.Code(err), "%s: %v", name, err)
		}
		_, err := b.RemoveItem(t.Context(), &pb.RemoveItemRequest{AccountId: "a"})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
		_, err = b.GetCart(t.Context(), &pb.GetCartRequest{})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
		require.Empty(t, b.lines("a"))
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := cart.New(cart.Config{})
	require.ErrorContains(t, err, "no DB")
}
