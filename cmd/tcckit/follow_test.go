package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	bankpb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	cartpb "github.com/tcckit/tcckit/api/gen/tcckit/cart/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	dispatchpb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	"github.com/tcckit/tcckit/internal/stack"
	"github.com/tcckit/tcckit/internal/testserver"
)

// followed runs the shop with the services that follow by message.
func followed(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	cfg.Program, cfg.Dir, cfg.Follow, cfg.RetryInterval = binary, t.TempDir(), true, time.Second
	s, err := stack.New(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	require.NoError(t, s.Start(t.Context()))
	return s
}

// bankAt is a client of a bank in the order service's process, with an account in it.
func bankAt(t *testing.T, s *stack.Stack, name, account string, amount int64) bankpb.BankServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(s.Service(stack.Order).Internal, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(), grpc.WithAuthority(name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	client := bankpb.NewBankServiceClient(conn)
	if account == "" {
		return client
	}
	_, err = client.OpenAccount(t.Context(), &bankpb.OpenAccountRequest{
		RequestId: "open", AccountId: account, Balance: &commonpb.Money{Amount: amount, Currency: "EUR"},
	})
	require.NoError(t, err)
	return client
}

// followOrder places an order from a cart and waits until it has left the cart and has a shipment.
func followOrder(t *testing.T, s *stack.Stack) {
	t.Helper()
	conn := dial(t, s.Service(stack.Order).Public)
	carts, shipments := cartpb.NewCartServiceClient(conn), dispatchpb.NewDispatchServiceClient(conn)
	added, err := carts.AddItem(t.Context(), &cartpb.AddItemRequest{RequestId: "add", AccountId: "a", Sku: "s", Quantity: 1})
	require.NoError(t, err)
	order := placeOrder(t, s, added.GetLine().GetLineId())
	require.Eventually(t, func() bool {
		cart, err := carts.GetCart(t.Context(), &cartpb.GetCartRequest{AccountId: "a"})
		require.NoError(t, err)
		_, err = shipments.GetShipment(t.Context(), &dispatchpb.GetShipmentRequest{OrderId: order.GetOrderId()})
		return len(cart.GetLines()) == 0 && err == nil
	}, bound, pollPause)
}

// followTransfer sends money from one bank to the other and waits until it is credited.
func followTransfer(t *testing.T, s *stack.Stack) {
	t.Helper()
	north, south := bankAt(t, s, "bank-north", "ann", 100), bankAt(t, s, "bank-south", "ben", 0)
	var sent *bankpb.TransferResponse
	require.Eventually(t, func() bool {
		var err error
		sent, err = north.Transfer(t.Context(), &bankpb.TransferRequest{
			RequestId: "transfer", FromAccountId: "ann", ToBank: "south", ToAccountId: "ben", Amount: &commonpb.Money{Amount: 30, Currency: "EUR"},
		})
		return status.Code(err) != codes.Unavailable // as it is until the broker is reached
	}, bound, pollPause)
	require.Eventually(t, func() bool {
		got, err := north.GetTransfer(t.Context(), &bankpb.GetTransferRequest{TransferId: sent.GetTransfer().GetTransferId()})
		require.NoError(t, err)
		return got.GetTransfer().GetStatus() == bankpb.TransferStatus_TRANSFER_STATUS_CREDITED
	}, bound, pollPause)
	credited, err := south.GetAccount(t.Context(), &bankpb.GetAccountRequest{AccountId: "ben"})
	require.NoError(t, err)
	require.EqualValues(t, 30, credited.GetAccount().GetBalance().GetAmount())
}

func TestMessagesWithinAProcess(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	s := followed(t, stack.Config{})
	followOrder(t, s)
	followTransfer(t, s)

	_, err := bankAt(t, s, "localhost:7402", "", 0).GetAccount(t.Context(), &bankpb.GetAccountRequest{AccountId: "ann"})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "here are bank-north, bank-south")

	require.Eventually(t, func() bool {
		code, text := get(t, "http://"+s.Service(stack.Order).Admin+"/metrics")
		require.Equal(t, http.StatusOK, code)
		for _, want := range []string{
			`tcckit_outbox_published_total{participant="order",topic="order.confirmed"} 1`,
			`tcckit_outbox_publish_duration_seconds_count{participant="order",topic="order.confirmed"}`,
			`tcckit_outbox_depth{participant="order",state="FAILED"} 0`,
			`tcckit_outbox_age_seconds{participant="order"} 0`,
			`tcckit_inbox_duration_seconds_count{consumer="cart",outcome="done"} 1`,
			`tcckit_inbox_duration_seconds_count{consumer="dispatch",outcome="done"} 1`,
			`tcckit_inbox_lag_seconds_count{consumer="bank-south-credit"`,
			`tcckit_inbox_dead{consumer="dispatch"} 0`,
			`tcckit_messages_publish_time_seconds_count{`,
			`tcckit_messages_handler_execution_time_seconds_count{`,
		} {
			if !hasSample(text, want) {
				return false
			}
		}
		return true
	}, bound, pollPause)
}

// hasSample tells whether there is a sample with the labels and the value given, among others.
func hasSample(metrics, want string) bool {
	name, rest, _ := strings.Cut(want, "{")
	labels, value, _ := strings.Cut(rest, "}")
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, name+"{") || !strings.HasSuffix(strings.TrimSpace(line), value) {
			continue
		}
		all := true
		for label := range strings.SplitSeq(labels, ",") {
			all = all && strings.Contains(line, label)
		}
		if all {
			return true
		}
	}
	return false
}

func TestMessagesByRocketMQ(t *testing.T) {
	t.Parallel()
	needsDTM(t)
	unique := testserver.Topic(t)
	s := followed(t, stack.Config{RocketMQ: []string{testserver.RocketMQ(t)}, RocketMQPrefix: unique[len(unique)-10:] + "-"})
	followOrder(t, s)
	followTransfer(t, s)
}
